// What `npm publish` would send: needed files inside, nothing else, at most 40 MB,
// no binding.gyp (npm would run node-gyp at install because of it), no install script
// and none that npm runs before or after another one by its name. Reads `npm pack --dry-run --json`; option --require-prebuilds for release.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const maxBytes = 40e6
const needed = ['package.json', 'LICENSE', 'CMakeLists.txt', 'scripts/build.mjs', 'dist/index.js', 'dist/index.d.ts']
const allowed = /^(dist|prebuilds|native|cmake)\/|^scripts\/(build|build-cuda|generate-errors)\.mjs$|^[^/]+$/
const forbidden = /(^|\/)(binding\.gyp|\.npmrc|node_modules|package-lock\.json)|\.(test\.js|tsbuildinfo)$/

const npm = process.env.npm_execpath
const [command, ...prefix] = npm ? [process.execPath, npm] : ['npm']
const output = execFileSync(
  command,
  [...prefix, 'pack', '--dry-run', '--json', '--ignore-scripts', '--loglevel=error'],
  {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  },
)
const parsed = JSON.parse(output.slice(output.search(/[[{]/)))
const pack = Array.isArray(parsed) ? parsed[0] : (parsed.googlenet ?? parsed)
const paths = pack.files.map((file) => file.path)
const { scripts, gypfile } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8'))

const problems = []
for (const path of needed) if (!paths.includes(path)) problems.push(`missing: ${path}`)
for (const path of paths) if (!allowed.test(path) || forbidden.test(path)) problems.push(`must not be packed: ${path}`)
for (const name of ['preinstall', 'install', 'postinstall', 'prepare'])
  if (scripts?.[name]) problems.push(`package.json must have no ${name} script`)
if (gypfile !== false) problems.push('package.json must say "gypfile": false')
for (const name of Object.keys(scripts))
  if (scripts[/^(?:pre|post)(.+)$/.exec(name)?.[1]]) problems.push(`npm runs ${name} with the script it is named after`)
if (pack.size > maxBytes) problems.push(`packed ${(pack.size / 1e6).toFixed(1)} MB, at most ${maxBytes / 1e6}`)
if (process.argv.includes('--require-prebuilds') && !paths.some((path) => path.startsWith('prebuilds/')))
  problems.push('no prebuilds/: run `npm run prebuilds` first')

for (const problem of problems) console.error(problem)
console.log(`tarball: ${paths.length} files, ${(pack.size / 1e6).toFixed(2)} MB packed`)
process.exit(problems.length === 0 ? 0 : 1)
