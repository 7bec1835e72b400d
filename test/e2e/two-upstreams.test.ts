// Goal: one `_default` in containerd's hosts directory is all that it takes to pull from any number of registries through an edge.
// Method: two upstreams of different make, each behind a gate of its own that shows who was asked.
import t from 'tap'
import { containerd } from './clients/containerd.ts'
import { startTestEdge } from './edge.ts'
import { openGate } from './gate.ts'
import { layeredImage, push } from './images.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

const LAYER_BYTES = [10_000, 20_000]

t.test('R28: containerd reaches two upstreams through one _default mirror', async t => {
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
