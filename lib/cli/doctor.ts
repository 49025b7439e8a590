/** `googlenet doctor`: what was found on this machine, and what is missing. */
import type { Command } from 'commander'
import { type DeviceInfo, devices } from '../device.js'
import { native } from '../native.js'
import type { Runner } from './arguments.js'
import type { Ui } from './ui.js'

export function addDoctor(program: Command, run: Runner): void {
  program
    .command('doctor')
    .description('show devices, libraries and problems')
    .action(() => run(doctor))
}

async function doctor(ui: Ui): Promise<void> {
  const problems: string[] = []
  let found: DeviceInfo[] = []
  let libraries: { name: string; version: string }[] = []
  try {
    found = devices()
    libraries = [...native().libraries.split(/,\s*/).map(nameAndVersion)]
  } catch (error) {
    problems.push((error as Error).message)
  }
  libraries.push({ name: 'Node.js', version: process.versions.node })
  const cpu = found.find(({ device }) => device === 'cpu')
  if (cpu?.isa === 'portable') problems.push('the processor has neither AVX2 nor AVX-512: everything will be slow')
  const text = [
    ...found.map(({ device, available, description, isa, threads }) => {
      const facts = [description, isa && `kernels for ${isa}`, threads && `${threads} threads`].filter(Boolean)
      return `${device}: ${available ? 'available' : 'not available'} (${facts.join(', ')})`
    }),
    ...libraries.map(({ name, version }) => `${name} ${version}`),
    ...(problems.length > 0 ? problems.map((problem) => `problem: ${problem}`) : ['no problems found']),
  ]
  ui.result({ devices: found, libraries, problems }, text.join('\n'))
  if (problems.some(() => !cpu)) process.exitCode = 1
}

function nameAndVersion(text: string): { name: string; version: string } {
  const space = text.lastIndexOf(' ')
  return space < 0 ? { name: text, version: '' } : { name: text.slice(0, space), version: text.slice(space + 1) }
}
