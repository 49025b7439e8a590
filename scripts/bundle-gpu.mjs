// `npm run bundle:gpu`: packs what a GPU machine without Node and network needs to test the CUDA backend into one
// .tar.gz: the backend, the driver, cases with the processor's results, their sources, run.sh.
// Options: --output=FILE (default build/googlenet-gpu.tar.gz; the name's end says how it is compressed)
//   --arch=75,80,…|all (default all) --only=TEXT (cases whose name has it, without the whole network)
//   --node (Node too, with test:gpu and bench:gpu; some 60 MB) --simulated (the simulated device's backend)
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, mkdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createViteServer } from 'vitest/node'
import { bundleNode } from './bundle-node.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const from = (path) => join(root, path)
const folder = from('build/googlenet-gpu')

const options = Object.fromEntries(
  process.argv.slice(2).map((option) => {
    const [, name, value = ''] = /^--(output|arch|only|node|simulated)(?:=(.*))?$/.exec(option) ?? []
    if (!name) stop(`unknown option ${option}; known: --output=FILE --arch=LIST --only=TEXT --node --simulated`)
    return [name, value]
  }),
)

function stop(message) {
  console.error(`googlenet bundle:gpu: ${message}`)
  process.exit(1)
}

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) stop(`${command} ${args.join(' ')} failed, see above`)
}

/** The writer is TypeScript of the tests and reads them. */
async function writeCases(path) {
  const server = await createViteServer({
    root,
    configFile: false,
    logLevel: 'error',
    oxc: { target: 'node20' }, // `using` is not in Node 20
    server: { middlewareMode: true },
  })
  try {
    const module = await server.ssrLoadModule('/test/gpu/write-cases.ts')
    await module.writeCases(path, { whole: options.only === undefined, only: options.only })
  } finally {
    await server.close()
  }
}

run(process.execPath, ['scripts/build.mjs'])
if (options.simulated !== undefined) run('sh', ['test/simulator/build.sh'])
else run(process.execPath, ['scripts/build-cuda.mjs', `--arch=${options.arch || 'all'}`])
run('sh', ['test/gpu/build.sh', 'build/gpu-driver'])

rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
const release = options.simulated === undefined ? 'build/Release' : 'build/simulator/build/Release'
copyFileSync(from(`${release}/googlenet_cuda.so`), join(folder, 'googlenet_cuda.so'))
copyFileSync(from('build/gpu-driver/driver'), join(folder, 'driver'))
copyFileSync(from('test/gpu/run.sh'), join(folder, 'run.sh'))
copyFileSync(from('test/gpu/BUNDLE.md'), join(folder, 'README.md'))
chmodSync(join(folder, 'run.sh'), 0o755)
for (const path of ['native', 'test/gpu', 'scripts/build-cuda.mjs', 'LICENSE', 'NOTICE'])
  cpSync(from(path), join(folder, 'source', path), { recursive: true })
await writeCases(join(folder, 'cases'))
if (options.node !== undefined) bundleNode(root, folder, from(`${release}/googlenet_cuda.so`))

const output = resolve(options.output || from('build/googlenet-gpu.tar.gz'))
run('tar', ['-caf', output, '-C', dirname(folder), 'googlenet-gpu'])
console.log(`googlenet bundle:gpu: ${output}, ${(statSync(output).size / 1e6).toFixed(1)} MB`)
