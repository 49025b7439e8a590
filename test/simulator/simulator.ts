/** The simulated device as a place for tests: builds it, and says how a process is to run on it. */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Precision } from '../../lib/native.js'
import type { Place } from '../ops/process.js'

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url))
export const SIMULATED_CUDNN = path('../../build/simulator/cudnn')

export interface Simulation {
  /** Which of the ways of native/cuda/conv_planner.h convolutions go: the simulated cuDNN refuses those before. */
  way?: 'fused' | 'apart' | 'packed-fused' | 'plain' | 'packed'
  precision?: Precision
  /** MiB of each device, or of one after the other. */
  memory?: number | number[]
  devices?: number
  /** Whether devices reach each other's memory; default true. */
  peers?: boolean
  /** Items of work after which each device fails for good; 0: never. */
  fails?: number[]
  /** MiB of it that a recorded step takes. */
  graph?: number
  /** CUDA version of the driver, 0: none. */
  driver?: number
  /** Blocks and threads of a kernel take their turns last first. */
  backwards?: boolean
}

/** What the simulated runtime does not refuse although it should, a line each. */
export function missingRefusals(): string {
  return execFileSync(path('../../build/simulator/refusals'), { encoding: 'utf8' })
}

/** What of the bytes that went to the device and back was not right, a line each. */
export function wrongCopies(): string {
  return execFileSync(path('../../build/simulator/pinned'), { encoding: 'utf8' })
}

/** What packs of channels do otherwise than single elements, a line each. */
export function wrongPacks(): string {
  return execFileSync(path('../../build/simulator/packs'), { encoding: 'utf8' })
}

/** Builds what is out of date; test files may call it side by side. */
export function buildSimulator(): void {
  execFileSync('sh', [path('build.sh')], { stdio: ['ignore', 'ignore', 'inherit'] })
}

export function simulated({
  way = 'fused',
  precision = 'f32',
  memory,
  devices,
  peers,
  fails,
  graph,
  driver,
  backwards,
}: Simulation = {}): Place {
  const settings = {
    SIMULATOR_REFUSE: {
      fused: '',
      apart: 'masks',
      'packed-fused': 'weights',
      plain: 'fused',
      packed: 'fused,slices',
    }[way],
    SIMULATOR_MEMORY: memory,
    SIMULATOR_DEVICES: devices,
    SIMULATOR_PEERS: peers === false ? 0 : undefined,
    SIMULATOR_FAILS: fails,
    SIMULATOR_GRAPH: graph,
    SIMULATOR_DRIVER: driver,
    SIMULATOR_BACKWARDS: backwards ? 1 : undefined,
  }
  const env = Object.fromEntries(
    Object.entries(settings).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  )
  return {
    env: { GOOGLENET_PREBUILD: path('../../build/simulator'), GOOGLENET_CUDNN: SIMULATED_CUDNN, ...env },
    options: { device: 'cuda', precision },
  }
}
