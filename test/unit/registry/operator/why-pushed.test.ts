// Goal: an operator is told that a tag was pushed here and what becomes of it, without any upstream
// being asked. Method: the operator's side of the engine over in-memory twins.
import t from 'tap'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { GRACE_MS } from '../../../../src/registry/collect/collect.ts'
import { explainImage } from '../../../../src/registry/operator/why-image.ts'
import type { PushMode } from '../../../../src/registry/ports/push-modes.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'
import { makeImage } from '../../../kit/image.ts'
import { pushImage, tagged } from '../../../kit/clients/push-image.ts'
import { operatorDepsOf } from '../../../kit/worlds/operator-deps.ts'

const app = repositoryOf('team/app')
const NAME = 'docker.io/team/app:v1'

async function pushed(push: PushMode) {
  const engine = createEngine({ policies: [{ match: 'docker.io/**', push }] })
  await pushImage(engine.registry, app, makeImage({ seed: 'why', layers: [10] }), 'v1')
  await engine.clock.advance(3_600_000)
  const why = () => explainImage(operatorDepsOf(engine), NAME)
  return { ...engine, why }
}

t.test('a queued tag waits for its delivery, and a parked one says where to look', async t => {
  const { why, catalog } = await pushed('queue')
  const told = await why()
  t.match(told, { complete: true, checkedAtMs: undefined, freshness: undefined })
  t.match(told.now[0], /pushed here, and waits to be delivered to docker.io as entry 1/)
  const [entry] = await catalog.listDeliveriesOf(repositoryKey(app))
  const change = { state: 'parked', attempts: 1, nextAtMs: 0, reason: 'refused' } as const
  await catalog.changeDelivery(entry?.id ?? 0, change)
  t.match((await why()).now[0], /parked: "entrepot queue ls" says why at entry 1/)
})

t.test('a tag that is kept here says so', async t => {
  const { why } = await pushed('store')
  t.match((await why()).now, [/kept here: docker.io is not asked/, /no byte would be fetched/])
})

t.test('R633: a lease counts for as long as it holds, whatever the clock does', async t => {
  const { why, registry, clock } = await pushed('store')
  await registry.headManifest(app, { ...tagged('v1'), mayPush: true })
  clock.jump(2 * GRACE_MS)
  t.match((await why()).held, ['pushed', 'leased'])
  await clock.advance(GRACE_MS + 1)
  t.strictSame((await why()).held, ['pushed'])
})
