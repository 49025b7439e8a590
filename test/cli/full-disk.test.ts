/**
 * Training onto a disk that is really full: a small file system in a mount namespace of its own. The run fails with a
 * message that says so, and what was saved before stays whole and can be resumed from.
 */
import { execFile, execFileSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { drawPictures, temporaryFolder } from '../train/pictures.js'

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const NAMESPACE = ['-rm', 'sh', '-ec']
const MOUNT = 'mount -t tmpfs -o size=12m none "$0"'

/** Some containers allow neither namespaces nor mounts. */
function canMount(): boolean {
  try {
    execFileSync('unshare', [...NAMESPACE, MOUNT, fileURLToPath(new URL('.', import.meta.url))], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
  await mkdir(join(folder.path, 'disk'))
  await drawPictures(join(folder.path, 'train'), 2, 8)
})
afterAll(() => folder.remove())

const SCRIPT = `
${MOUNT}
node=$1 main=$2 data=$3 out=$0/run
digest() { cat "$out/last/checkpoint.safetensors" | sha256sum; }
"$node" "$main" train --data "$data" --out "$out" --epochs 1 --input-size 48 --width 0.125 --batch 8 --threads 1 --json >/dev/null
digest
cp "$out/last/checkpoint.safetensors" "$0/filler"
dd if=/dev/zero of="$0/rest" bs=64k 2>/dev/null || true
status=0
"$node" "$main" train --resume "$out" --epochs 2 2>&1 >/dev/null || status=$?
echo "exit $status"
digest
ls -A "$out" "$out/last" "$out/best"
rm "$0/rest" "$0/filler"
"$node" "$main" train --resume "$out" --epochs 2 --json
`

describe.skipIf(!canMount())('a full disk (skipped where unshare cannot mount a file system)', () => {
  it('ends the run with the reason, and the last checkpoint stays', async () => {
    const args = [...NAMESPACE, SCRIPT, join(folder.path, 'disk'), process.execPath, MAIN, join(folder.path, 'train')]
    const { stdout } = await promisify(execFile)('unshare', args)
    const lines = stdout.trim().split('\n')
    const exit = lines.findIndex((line) => line.startsWith('exit '))
    expect(lines[exit]).toBe('exit 1')
    expect(lines.slice(1, exit).join('\n')).toMatch(/disk is full/)
    expect(lines[exit + 1]).toBe(lines[0])
    expect(lines.filter((line) => line.includes('.tmp') || line.includes('.part'))).toEqual([])
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ epochs: 2, steps: 4 })
  }, 120_000)
})
