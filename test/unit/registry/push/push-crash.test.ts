// Goal: wherever a push or a delete is cut off, it was not acknowledged, what was before or what
// was asked for holds, trying again works, and a catalog built from the facts says the same.
// Method: the engine over in-memory twins whose writes break at call k, for every k that there is
// and in each way of breaking.
import t, { type Test } from 'tap'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { type Break, BREAKS } from '../../../kit/worlds/breaking-ports.ts'
import {
  begin,
  carriedOf,
  MODES,
  type Mode,
  OPERATIONS,
  type Operation,
  pointsTo,
  reference,
  rulesOf,
} from '../../../kit/worlds/cut-off-pushes.ts'
import { createEngine, type Engine } from '../../../kit/engine.ts'
import { factsOf } from '../../../kit/judges/facts-of.ts'
import { rebuilt } from '../../../kit/worlds/rebuilt.ts'

for (const mode of MODES)
  for (const how of BREAKS)
    for (const operation of OPERATIONS)
      t.test(`${mode.push}: ${operation.name}, ${how} at every step`, async t => {
        let steps = 0
        while (await breakAt(t, { mode, how, operation, at: steps })) steps++
        t.ok(steps >= 2, `${steps} steps`)
      })

/** False once there are no more steps. */
async function breakAt(
  t: Test,
  { mode, how, operation, at }: { mode: Mode; how: Break; operation: Operation; at: number },
): Promise<boolean> {
  const { repository } = mode
  const { breaking, engine } = await begin(mode, operation)
  const { registry, catalog, facts } = engine
  breaking.arm(at, how)
  const error = await operation.run(registry, repository).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  breaking.disarm()
  if (!breaking.isBroken) {
    t.equal(error, undefined)
    return false
  }
  const told = `at ${at}`
  t.ok(error instanceof Error, `${told} it was not acknowledged`)
  const points = await pointsTo(catalog, repository)
  t.ok(operation.outcomes.includes(points), `${told} the tag is old or new`)
  if (mode.push === 'queue')
    t.equal((await carriedOf(catalog, repository)).at(-1), points, `${told} the outbox agrees`)
  const lost = (await rebuilt(engine, rulesOf(mode))).catalog
  const pointed = await pointsTo(lost, repository)
  t.ok(operation.outcomes.includes(pointed), `${told} and so says a catalog built from facts`)
  if (mode.push === 'queue') {
    const carried = await carriedOf(lost, repository)
    t.ok([pointed, undefined].includes(carried.at(-1)), `${told} whose outbox agrees`)
  }
  if (how !== 'ended' && how !== 'torn') {
    const said = (await factsOf(facts, 'tag')).find(({ tag }) => tag === reference.tag)?.digest
    t.equal(said, points, `${told} the facts say what the catalog says`)
    const ids = (await catalog.listDeliveriesOf(repositoryKey(repository))).map(({ id }) => id)
    t.same(
      (await factsOf(facts, 'delivery')).map(({ id }) => id).sort((a, b) => a - b),
      ids,
      `${told} of the outbox too`,
    )
  }
  await retry(t, { engine, mode, operation, told })
  return true
}

async function retry(
  t: Test,
  options: { engine: Engine; mode: Mode; operation: Operation; told: string },
): Promise<void> {
  const { engine, mode, operation, told } = options
  const { repository } = mode
  await engine.clock.advance(1)
  const next = createEngine({ after: engine, policies: rulesOf(mode) })
  await operation.run(next.registry, repository).catch((again: { code?: string }) => {
    // A delete that took effect unheard.
    if (operation.done !== undefined || again.code !== 'MANIFEST_UNKNOWN') throw again
  })
  t.equal(await pointsTo(next.catalog, repository), operation.done, `${told} trying again works`)
  const lost = (await rebuilt({ ...engine, facts: next.facts }, rulesOf(mode))).catalog
  t.equal(await pointsTo(lost, repository), operation.done, `${told} durably`)
  if (mode.push !== 'queue') return
  const carried = operation.done === undefined ? [] : [operation.done]
  t.same((await carriedOf(lost, repository)).slice(-1), carried, `${told} with its delivery`)
  t.equal((await carriedOf(lost, repository)).length, carried.length, `${told} once`)
}
