// The rules of the house that no compiler checks: each library is included in one
// room only, no file grows past 400 lines, and no path of one machine is written
// down. Looks at what git tracks or would track, so build outputs stay out.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** Header pattern, and the only folders that may include it. */
const rooms = [
  { include: /^(napi\.h|node_api\.h|js_native_api\.h|uv\.h)$/, folders: ['native/addon/'] },
  { include: /dnnl/, folders: ['native/cpu/'] },
  { include: /^(cuda|cudnn|cublas|nvrtc)/, folders: ['native/cuda/', 'test/simulator/'] },
  { include: /^(jpeglib|jerror|turbojpeg)\.h$/, folders: ['native/image/'] },
]
const maxLines = 400
/** Data, generated files and prose may be long. */
const anyLength = /^package-lock\.json$|^test\/golden\/|\.(md|json|npy|bin|txt|prototxt)$/
// A home, work or temporary folder of somebody, and this checkout's own path. A documented example starts with
// /path/to. The pattern is put together so that this file does not match itself.
const machinePath = new RegExp(
  `(?<![\\w.~$}])/(${['home/\\w', 'Users/\\w', 'root/\\w', 'work/\\w', 'mnt/\\w'].join('|')})`,
)

const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: root,
  encoding: 'utf8',
  maxBuffer: 1 << 26,
})
  .split('\0')
  .filter((name) => name && existsSync(`${root}/${name}`))

const problems = []
for (const file of files) {
  const bytes = readFileSync(`${root}/${file}`)
  if (bytes.subarray(0, 8000).includes(0)) continue
  const lines = bytes.toString('utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  if (lines.length > maxLines && !anyLength.test(file))
    problems.push(`${file}: ${lines.length} lines, at most ${maxLines}: split it by its jobs`)
  lines.forEach((line, index) => {
    const where = `${file}:${index + 1}`
    if (line.length < 2000 && (machinePath.test(line) || (root.length > 8 && line.includes(root))))
      problems.push(`${where}: names a path of one machine: ${line.trim().slice(0, 100)}`)
    const header = file.startsWith('native/') && /^\s*#\s*include\s*[<"]([^>"]+)[>"]/.exec(line)?.[1]
    if (!header) return
    const room = rooms.find(({ include }) => include.test(header))
    if (room && !room.folders.some((folder) => file.startsWith(folder)))
      problems.push(`${where}: <${header}> may be included only in ${room.folders.join(', ')}`)
  })
}
for (const problem of problems) console.error(problem)
process.exit(problems.length === 0 ? 0 : 1)
