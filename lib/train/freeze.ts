/**
 * Which parameters a run leaves as they are: patterns such as 'inception_3?/*' or 'conv*', matched against parameter
 * names (`inception_3a/1x1.weight`) and layer names. `*` stands for any characters, `?` for one.
 */
import { invalid } from '../options.js'

/** @throws GOOGLENET_ERR_INVALID_ARGUMENT for a pattern that fits nothing */
export function frozenParameters(patterns: readonly string[], names: readonly string[]): string[] {
  const frozen = new Set<string>()
  for (const pattern of patterns) {
    const expression = pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replaceAll('*', '.*')
      .replaceAll('?', '.')
    const regexp = new RegExp(`^${expression}(\\.(weight|bias))?$`)
    const matched = names.filter((name) => regexp.test(name))
    if (matched.length === 0) throw invalid('freeze', `a pattern that fits a parameter, such as '${names[0]}'`, pattern)
    for (const name of matched) frozen.add(name)
  }
  return names.filter((name) => frozen.has(name))
}
