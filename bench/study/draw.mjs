/**
 * The study's pictures (SVG, by Vega-Lite) and tables (Markdown) from results.json. Vega is a tool of this script alone:
 * it is installed into bench/.peers on first use.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { peersFolder } from '../lib/paths.mjs'

const tools = { vega: '6.2.0', 'vega-lite': '6.4.1' }

async function load(name) {
  const folder = join(peersFolder, 'study')
  if (!existsSync(join(folder, 'node_modules', name))) {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'package.json'), '{"private":true}\n')
    const packages = Object.entries(tools).map(([tool, version]) => `${tool}@${version}`)
    const { status } = spawnSync('npm', ['install', '--no-audit', '--no-fund', ...packages], {
      cwd: folder,
      stdio: ['ignore', 2, 2],
    })
    if (status !== 0) throw new Error(`npm could not install ${packages.join(' ')} into ${folder}`)
  }
  return import(pathToFileURL(createRequire(join(folder, 'package.json')).resolve(name)).href)
}

const label = ({ workers, policy }) => (workers === 0 ? 'alone' : `${workers}, ${policy}`)

/** Panels of `column` side by side. */
function chart(values, column, spec) {
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    background: 'white',
    data: { values },
    facet: { column: { field: column, title: null } },
    spec,
  }
}

/** Curves of the training loss, one panel a number of workers, a colour a policy. */
function lossCurves({ runs }, x, title) {
  const alone = runs.find(({ workers, seed }) => workers === 0 && seed === 1)
  const panels = [...new Set(runs.map(({ workers }) => workers))].filter((workers) => workers > 0)
  const values = panels.flatMap((panel) =>
    [alone, ...runs.filter(({ workers, seed }) => workers === panel && seed === 1)].flatMap((run) =>
      run.curve.map(([images, seconds, loss]) => ({
        ...{ panel: `${panel} workers`, policy: run.workers === 0 ? 'alone' : run.policy },
        ...{ images, seconds, loss },
      })),
    ),
  )
  return chart(values, 'panel', {
    width: 260,
    height: 220,
    mark: { type: 'line', strokeWidth: 1.5 },
    encoding: {
      x: { field: x, type: 'quantitative', title },
      y: { field: 'loss', type: 'quantitative', title: 'training loss', scale: { zero: false } },
      color: { field: 'policy', type: 'nominal', sort: ['alone'] },
    },
  })
}

/** Validation top-1 by epoch, raw and averaged. */
function averaging({ runs }) {
  const shown = runs.filter(({ seed, policy, workers }) => seed === 1 && (workers === 0 || policy === 'none'))
  const values = shown.flatMap((run) =>
    run.epochs.flatMap(({ epoch, raw, averaged }) => [
      { workers: label(run), epoch, top1: 100 * raw.top1, weights: 'raw' },
      { workers: label(run), epoch, top1: 100 * averaged.top1, weights: 'averaged' },
    ]),
  )
  return chart(values, 'workers', {
    width: 200,
    height: 200,
    mark: 'line',
    encoding: {
      x: { field: 'epoch', type: 'quantitative' },
      y: { field: 'top1', type: 'quantitative', title: 'validation top-1, %', scale: { zero: false } },
      strokeDash: { field: 'weights', type: 'nominal' },
      color: { field: 'weights', type: 'nominal' },
    },
  })
}

const percent = (x) => (100 * x).toFixed(1)
const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length

function table({ runs }) {
  const head = ['workers', 'policy', 'seed', 'updates', 'staleness', 'loss', 'top-1', 'averaged', 'seconds', 'store']
  const rows = runs.map((run) => {
    const last = run.epochs.at(-1)
    if (!last) return [run.workers || 'alone', run.policy, run.seed, '', '', run.failure, '', '', '', '']
    const stale = last.staleness
    return [
      ...[run.workers || 'alone', run.workers ? run.policy : '', run.seed, last.updates],
      ...[stale ? `${stale.mean.toFixed(2)} (max ${stale.max})` : '', run.curve.at(-1)?.[2].toFixed(3) ?? ''],
      ...[percent(last.raw.top1), percent(last.averaged.top1), last.seconds.toFixed(0)],
      last.storeShare === undefined ? '' : `${(100 * last.storeShare).toFixed(1)} %`,
    ]
  })
  return markdown(head, rows)
}

/** Rows with several seeds: mean and range of the last validation. */
function claims({ runs }) {
  const names = [...new Set(runs.map(label))]
  const rows = names.flatMap((name) => {
    const same = runs.filter((run) => label(run) === name && run.epochs.length > 0)
    if (same.length < 2) return []
    const column = (kind) => {
      const list = same.map(({ epochs }) => 100 * epochs.at(-1)[kind].top1)
      return `${mean(list).toFixed(2)} (${Math.min(...list).toFixed(1)} … ${Math.max(...list).toFixed(1)})`
    }
    return [[name, same.map(({ seed }) => seed).join(', '), column('raw'), column('averaged')]]
  })
  return rows.length > 0 ? markdown(['workers', 'seeds', 'top-1', 'averaged'], rows) : ''
}

function markdown(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

export async function draw(results, folder) {
  const vega = await load('vega')
  const { compile } = await load('vega-lite')
  const svg = async (name, spec) => {
    const view = new vega.View(vega.parse(compile(spec).spec), { renderer: 'none' })
    await writeFile(join(folder, name), await view.toSVG())
  }
  const studies = JSON.parse(await readFile(results, 'utf8'))
  const tables = []
  for (const [name, study] of Object.entries(studies)) {
    await svg(`${name}-images.svg`, lossCurves(study, 'images', 'images seen'))
    await svg(`${name}-seconds.svg`, lossCurves(study, 'seconds', 'seconds of training'))
    await svg(`${name}-average.svg`, averaging(study))
    tables.push(`## ${name}`, JSON.stringify(study.setup), JSON.stringify(study.machine), claims(study), table(study))
  }
  await writeFile(join(folder, 'tables.md'), `${tables.filter(Boolean).join('\n\n')}\n`)
}
