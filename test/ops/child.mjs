// Runs networks in a process of its own, so that instruction sets can be capped by environment variables (the addon
// reads them once) and a crash ends one request. Plain JavaScript over the built package. Protocol: process.ts.
import { native } from '../../dist/native.js'

const sessions = new Map()

const actions = {
  /** One network, from parameters to gradients. */
  async run({
    rows,
    initialize,
    parameters,
    inputs,
    labels,
    training,
    outputs,
    gradients,
    inputGradients,
    step,
    ...rest
  }) {
    const { options, key } = rest
    const session = sessions.get(key) ?? new (native().Session)({ layers: rows, ...options })
    if (key !== undefined) sessions.set(key, session)
    try {
      if (initialize !== undefined) await session.initialize(initialize)
      if (parameters) await session.setParameters('weights', parameters)
      const result = await session.run({ inputs, labels, training, outputs, gradients, inputGradients, step })
      const parameterGradients = training ? await session.getParameters('gradients') : {}
      return { ...result, parameterGradients, isa: session.isa }
    } finally {
      if (key === undefined) await session.dispose()
    }
  },

  async profile({ rows, batch, training, options, key }) {
    const session = sessions.get(key) ?? new (native().Session)({ layers: rows, ...options })
    if (key !== undefined) sessions.set(key, session)
    try {
      await session.initialize(1)
      return { isa: session.isa, kernels: await session.profile(batch, training) }
    } finally {
      if (key === undefined) await session.dispose()
    }
  },

  /** Steps of SGD over given batches, in turn; the losses. */
  async train({ rows, parameters, seed, batches, update, steps, options, evaluate, output }) {
    const session = new (native().Session)({ layers: rows, ...options })
    try {
      await session.initialize(seed ?? 1)
      if (parameters) await session.setParameters('weights', parameters)
      const results = []
      for (let step = 0; step < steps; step++) {
        const { input, labels } = batches[step % batches.length]
        results.push(await session.step(input, labels, { ...update, step }))
      }
      const evaluations = []
      for (const { input } of evaluate ?? []) {
        const inputs = { [rows.find((row) => row.op === 'input').name]: input }
        evaluations.push((await session.run({ inputs, training: false, outputs: [output] })).outputs[output])
      }
      return { results, evaluations }
    } finally {
      await session.dispose()
    }
  },
}

process.on('message', async ({ action, request }) => {
  try {
    process.send({ result: await actions[action](request) })
  } catch (error) {
    process.send({ error: `${error.code ?? ''} ${error.stack ?? error}` })
  }
})
