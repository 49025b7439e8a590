/**
 * `googlenet demo`: trains on emoji in three art styles, tests on a fourth that it has never seen, shows how it
 * went. The data are drawn from npm packages; the recipe is lib/demo/recipe.ts.
 */
import type { Command } from 'commander'
import { type EmojiData, type EmojiSet, loadEmoji } from '../demo/emoji.js'
import { demoRecipe } from '../demo/recipe.js'
import { type DemoScore, evaluateDemo, trainDemo } from '../demo/train.js'
import { GoogLeNet } from '../model/model.js'
import type { GlobalOptions, Runner } from './arguments.js'
import { percent, table, type Ui } from './ui.js'

const SAMPLES = 8

export function addDemo(program: Command, run: Runner): void {
  program
    .command('demo')
    .description('train on emoji from the installed packages, evaluate on a held-out art style, classify a few')
    .action((_options, command: Command) => run((ui) => demo(command.optsWithGlobals<GlobalOptions>(), ui)))
}

async function demo({ device, threads, seed = 1 }: GlobalOptions, ui: Ui): Promise<void> {
  const { signal } = ui
  const { inputSize: size, heldOutStyle, background, width, auxiliary, filler, dropout } = demoRecipe
  const data = await draw(ui, { size, heldOutStyle, background, seed })
  const { classes, train, newStyle, newConcept } = data
  await using model = await GoogLeNet.create({
    ...{ classes: classes.length, labels: classes, inputSize: size, width, auxiliary, filler, dropout },
    ...{ device, threads, seed },
  })
  ui.note(
    `training on ${train.names.length} drawings of ${classes.length} groups in three styles, ` +
      `${model.threads} threads; '${heldOutStyle}' is kept for the test`,
  )
  const { images, seconds } = await teach(model, train, seed, ui)
  const seen = await evaluateDemo(model, newStyle, { signal })
  const unseen = await evaluateDemo(model, newConcept, { signal })
  const tested = seen.images + unseen.images
  const mean = (key: 'top1' | 'top5') => (seen[key] * seen.images + unseen[key] * unseen.images) / tested
  const trainImagesPerSecond = images / seconds
  const result = {
    top1: mean('top1'),
    top5: mean('top5'),
    images: tested,
    seconds,
    trainImagesPerSecond,
    majority: majority(newStyle, newConcept),
    newStyle: { images: seen.images, top1: seen.top1, top5: seen.top5 },
    newConcept: { images: unseen.images, top1: unseen.top1, top5: unseen.top5 },
    samples: samples(data, seen, unseen),
  }
  ui.result(result, report(result, heldOutStyle, data.attribution))
}

async function draw(
  ui: Ui,
  options: Pick<Parameters<typeof loadEmoji>[0], 'size' | 'heldOutStyle' | 'background' | 'seed'>,
) {
  const bar: { progress?: ReturnType<Ui['progress']> } = {}
  try {
    return await loadEmoji({
      ...options,
      signal: ui.signal,
      onProgress: (done, total) => {
        bar.progress ??= ui.progress('drawing', total)
        bar.progress.update(done)
      },
    })
  } finally {
    bar.progress?.stop()
  }
}

/** Trains with a bar that shows loss, accuracy and speed, and one line per epoch that stays. */
async function teach(model: GoogLeNet, train: EmojiSet, seed: number, ui: Ui) {
  const steps = Math.floor(train.names.length / demoRecipe.batchSize) * demoRecipe.epochs
  const progress = ui.progress('training', steps)
  const window = { loss: 0, correct: 0, images: 0, steps: 0 }
  let shown = ''
  try {
    return await trainDemo(model, train, demoRecipe, {
      seed,
      signal: ui.signal,
      onStep: ({ step, epoch, images, seconds, loss, correct, batch }) => {
        window.loss += loss
        window.correct += correct
        window.images += batch
        window.steps++
        if (window.steps === 50) {
          shown =
            `epoch ${epoch}/${demoRecipe.epochs}, loss ${(window.loss / window.steps).toFixed(3)}, ` +
            `${percent(window.correct / window.images)} right, ${(images / seconds).toFixed(0)} images/s`
          Object.assign(window, { loss: 0, correct: 0, images: 0, steps: 0 })
        }
        progress.update(step, shown)
      },
    })
  } finally {
    progress.stop()
  }
}

/** Share of the most frequent class: what guessing it always would reach. */
function majority(...sets: EmojiSet[]): number {
  const labels = sets.flatMap((set) => [...set.labels])
  const counts = new Map<number, number>()
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1)
  return Math.max(...counts.values()) / labels.length
}

interface Sample {
  image: string
  group: string
  guess: string
  probability: number
}

/** Drawings spread evenly over both test sets. */
function samples(data: EmojiData, seen: DemoScore, unseen: DemoScore): Sample[] {
  return [
    { set: data.newStyle, score: seen },
    { set: data.newConcept, score: unseen },
  ].flatMap(({ set, score }) =>
    Array.from({ length: SAMPLES / 2 }, (_, i) => {
      const at = Math.floor(((i + 0.5) * set.names.length) / (SAMPLES / 2))
      const { length } = data.classes
      const row = score.probabilities.subarray(at * length, (at + 1) * length)
      const probability = Math.max(...row)
      const guess = data.classes[row.indexOf(probability)]!
      return { image: set.names[at]!, group: data.classes[set.labels[at]!]!, guess, probability }
    }),
  )
}

interface Outcome {
  top1: number
  images: number
  seconds: number
  trainImagesPerSecond: number
  majority: number
  newStyle: { images: number; top1: number }
  newConcept: { images: number; top1: number }
  samples: Sample[]
}

function report(outcome: Outcome, style: string, attribution: readonly string[]): string {
  const { top1, images, seconds, trainImagesPerSecond, majority, newStyle, newConcept } = outcome
  const rows = outcome.samples.map(({ image, group, guess, probability }) => [
    guess === group ? '  right' : '  wrong',
    image,
    guess,
    percent(probability),
    guess === group ? '' : `is ${group}`,
  ])
  return [
    `${percent(top1)} of ${images} drawings in the unseen style '${style}' are put into the right group of 8`,
    `  ${percent(newStyle.top1)} of ${newStyle.images} whose concept was seen in other styles`,
    `  ${percent(newConcept.top1)} of ${newConcept.images} whose concept was never seen`,
    `  ${percent(majority)} would be reached by always naming the largest group`,
    `trained ${seconds.toFixed(0)} s at ${trainImagesPerSecond.toFixed(0)} images/s`,
    table(rows),
    ...attribution,
  ].join('\n')
}
