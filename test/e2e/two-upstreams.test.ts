// Goal: one `_default` in containerd's hosts directory is all that it takes to pull from any number
// of registries through an edge. Method: two upstreams of different make, each behind a gate of its
// own that shows who was asked.
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { containerd } from './clients/containerd.ts'
import { startTestEdge } from './edge.ts'
import { openGate } from './gate.ts'
import { layeredImage, push } from './images.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

const LAYER_BYTES = [10_000, 20_000]
/** It is fetched when nobody waits for it, over loopback. */
const FETCHED_WITHIN_MS = 30_000
const LOOK_AGAIN_MS = 20

async function stage(t: Test) {
  const upstreams = Object.values(UPSTREAM_SERVERS).map(make => make())
  for (const upstream of upstreams) await upstream.start()
  const [hub, other] = await Promise.all(upstreams.map(({ url }) => openGate(url)))
  if (hub === undefined || other === undefined) throw new Error('two upstreams are needed')
  const edge = await startTestEdge({ 'docker.io': hub.url, 'ghcr.io': other.url })
  const client = containerd()
  t.teardown(async () => {
    await client.stop()
    await edge.stop()
    for (const gate of [hub, other]) await gate.close()
    for (const upstream of upstreams) await upstream.stop()
  })
  await client.start({ authority: edge.authority, shape: 'plain' })
  return { upstreams, hub, other, client }
}

t.test('R28: containerd reaches two upstreams through one _default mirror', async t => {
  const { upstreams, hub, other, client } = await stage(t)
  const images = ['hub', 'other'].map(seed => layeredImage({ seed, layerBytes: LAYER_BYTES }))
  const names = ['library/app', 'team/app']
  const gates = [hub, other]
  for (const [index, image] of images.entries()) {
    const name = names[index] ?? ''
    await push(upstreams[index]?.url() ?? '', image, { name, tag: 'v1' })
    for (const gate of gates) gate.forget()
    const registry = index === 0 ? '' : 'ghcr.io/'
    const pulled = await client.pull({ name: `${registry}${name}`, reference: 'v1' })
    t.same(pulled.resolved, [image.manifest.digest], `${name}: the right image`)
    const asked = gates.map(gate => gate.passed().length > 0)
    t.same(asked, [index === 0, index === 1], `${name}: only its own upstream was asked`)
  }
})

t.test(
  'R291: what containerd has from one registry is here under the name of another that it only looked at',
  async t => {
    const { upstreams, other, client } = await stage(t)
    const image = layeredImage({ seed: 'both', layerBytes: LAYER_BYTES })
    const names = ['library/both', 'team/both']
    for (const [index, upstream] of upstreams.entries())
      await push(upstream.url(), image, { name: names[index] ?? '', tag: 'v1' })
    other.forget()
    await client.pull({ name: 'library/both', reference: 'v1' })
    await client.pull({ name: 'ghcr.io/team/both', reference: 'v1' })
    const asked = () => other.passed().filter(({ path }) => path.includes('/team/both/'))
    const isFetched = () =>
      asked().some(
        ({ method, path, complete }) =>
          method === 'GET' && path.includes('/manifests/') && complete,
      )
    const deadline = Date.now() + FETCHED_WITHIN_MS
    while (!isFetched() && Date.now() < deadline) await wait(LOOK_AGAIN_MS)
    t.ok(isFetched(), 'the edge took the manifest by itself')
    t.notOk(
      asked().some(({ path }) => path.includes('/blobs/')),
      'and no blob',
    )

    await other.close()
    await client.emptyStore()
    const pulled = await client.pull({ name: 'ghcr.io/team/both', reference: 'v1' })
    t.same(
      pulled.resolved,
      [image.manifest.digest],
      'the next one is given it, with the upstream away',
    )
  },
)
