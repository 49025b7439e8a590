/**
 * One row of the table: every contender is prepared and checked, then all take turns for several rounds. Turns are
 * short and the order moves by one each round, so that a change of the machine's state hits all alike.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { checkLosses, checkOutput, decode, trainingLosses } from './check.mjs'
import { Child } from './child.mjs'
import { isInstalled, versionOf } from './install.mjs'
import { NOISY, observe } from './machine.mjs'
import { bestOf, compare, median } from './statistics.mjs'

/** Lets the threads of the contender before fall asleep; OpenMP's spin for up to 200 ms after their work. */
const PAUSE_MS = 300
const PATIENT_TRIES = 5

/** Starts those that can take part; the others get their reason. */
export function start(contenders, work, threads, precision) {
  return contenders
    .filter(({ does }) => does[work]?.includes(precision))
    .map((contender) => {
      const entry = {
        contender,
        name: contender.name,
        version: versionOf(contender),
        speeds: [],
        times: [],
        others: [],
      }
      if (isInstalled(contender)) entry.child = new Child(contender, threads)
      else entry.problem = contender.problem ?? 'not installed'
      return entry
    })
}

export async function stop(entries) {
  await Promise.all(entries.map(({ child }) => child?.end()))
}

const running = (entries) => entries.filter(({ child, problem }) => child && !problem)

/** A contender that fails is reported and left out; the rest goes on. */
async function attempt(entry, task) {
  try {
    return await task()
  } catch (error) {
    entry.problem = error.message.replaceAll('\n', ' ')
    entry.speeds = []
    return undefined
  }
}

/** @param {{ work: string, batch: number, precision: string }} row */
async function prepareAll(entries, row, settings) {
  let expected = row.precision === 'int8' ? settings.centred : settings.expected
  for (const entry of running(entries)) {
    settings.progress(`${row.work} ${row.batch}: ${entry.name} prepares`)
    await attempt(entry, async () => {
      if (row.work === 'training') {
        const losses = await trainingLosses(entry.contender, settings.threads, row.precision)
        settings.losses ??= losses
        entry.error = checkLosses(losses, settings.losses, row.precision)
      }
      const { output } = await entry.child.ask({ do: 'prepare', ...row })
      if (row.work === 'inference') {
        const probabilities = decode(output)
        expected ??= probabilities
        entry.error = checkOutput(probabilities, expected, row.precision)
      }
    })
  }
}

/** One timed turn; with `patient` it is repeated while others were busy, and the calmest counts. */
async function turn(entry, seconds, patient) {
  let best
  for (let tries = patient ? PATIENT_TRIES : 1; tries > 0; tries--) {
    await sleep(PAUSE_MS)
    const seen = await observe(entry.child, () => entry.child.ask({ do: 'slice', seconds }))
    if (!best || seen.others < best.others) best = seen
    if (!(best.others > NOISY)) break
  }
  return { time: median(best.result.milliseconds), others: best.others }
}

export async function measure(entries, row, settings) {
  for (const entry of entries) Object.assign(entry, { speeds: [], times: [], others: [], error: undefined })
  await prepareAll(entries, row, settings)
  // A first turn warms up: caches, lazily made kernels, page tables.
  for (const entry of running(entries)) await attempt(entry, () => turn(entry, settings.seconds / 3, false))
  for (let round = 0; round < settings.rounds; round++) {
    const present = running(entries)
    const shift = round % Math.max(1, present.length)
    for (const entry of [...present.slice(shift), ...present.slice(0, shift)]) {
      settings.progress(`${row.work} ${row.batch}: round ${round + 1} of ${settings.rounds}, ${entry.name}`)
      await attempt(entry, async () => {
        const { time, others } = await turn(entry, settings.seconds, settings.patient)
        entry.times.push(time)
        entry.speeds.push((row.batch / time) * 1000)
        entry.others.push(others)
      })
    }
  }
  for (const entry of running(entries)) entry.peakMb = entry.child.peakMb()
  return summarise(entries, row)
}

function summarise(entries, row) {
  const ours = entries.filter(({ contender }) => contender.ours)
  const peers = entries.filter(({ contender }) => !contender.ours)
  const speed = (entry) => (entry?.speeds.length ? median(entry.speeds) : null)
  const details = Object.fromEntries(
    entries.map((entry) => [
      entry.name,
      {
        version: entry.version ?? null,
        imagesPerSecond: speed(entry),
        rounds: entry.speeds,
        milliseconds: entry.times.length ? median(entry.times) : null,
        difference: entry.error ?? null,
        peakMb: entry.peakMb ?? null,
        others: entry.others.length ? median(entry.others) : null,
        problem: entry.problem ?? null,
      },
    ]),
  )
  return {
    ...row,
    ours: speed(bestOf(ours)),
    peers: Object.fromEntries(peers.map((entry) => [entry.name, speed(entry)])),
    ...compare(ours, peers),
    details,
  }
}
