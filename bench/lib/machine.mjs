/**
 * What the machine is and what else runs on it. The share that other processes took while a contender was timed is
 * recorded with each figure: a speed without it says nothing on a shared machine.
 */
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'

/** Above this share of a core taken by others a figure is called noisy. */
export const NOISY = 0.1

const units = ['avx2', 'avx512f', 'avx512_bf16', 'avx512_vnni', 'avx512_fp16', 'amx_bf16', 'amx_int8']

export function machine() {
  const flags =
    read('/proc/cpuinfo')
      .match(/^flags\s*:(.*)$/m)?.[1]
      .split(' ') ?? []
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    units: units.filter((unit) => flags.includes(unit)),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    load: loadavg()[0],
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    node: process.version,
  }
}

/** Processor seconds used by everything on this machine; undefined where the system does not say. */
function busySeconds() {
  const fields = read('/proc/stat').split('\n', 1)[0]?.trim().split(/\s+/).slice(1).map(Number)
  if (!fields || fields.length < 8) return undefined
  const [user, nice, system, , , interrupts, soft, stolen] = fields
  return (user + nice + system + interrupts + soft + stolen) / 100
}

/** Runs a task of a child; `others` is what else was busy meanwhile, as a fraction of one core. */
export async function observe(child, task) {
  const start = { time: performance.now(), busy: busySeconds(), own: child.cpuSeconds() }
  const result = await task()
  const seconds = (performance.now() - start.time) / 1000
  const busy = busySeconds()
  const own = child.cpuSeconds() - start.own
  const others = busy === undefined ? Number.NaN : Math.max(0, (busy - start.busy - own) / seconds)
  return { result, others }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
