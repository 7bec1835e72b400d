// Goal: a push that cannot fit ends at once, and its client prints why. Method: real clients push
// an image that is larger than the edge may keep, which they find out in the middle of a layer;
// what they sent is counted in the log of the edge.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory, runCommand } from './processes.ts'
import { DOCKER, DOCKER_ON_CONTAINERD, startEngine } from './push/docker.ts'
import { containersIn } from './push/podman.ts'
import { packagedTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

/** An edge looks again for room after 16 MiB of a layer whose length nobody has told. */
const LAYER_BYTES = 20 * 1024 * 1024
const TOLD = /no space left on device: the disk of this edge is full/

t.setTimeout(300_000)

const source = UPSTREAM_SERVERS['docker-registry 2.8']()
await source.start()
t.teardown(() => source.stop())
const image = layeredImage({ seed: 'full', layerBytes: [LAYER_BYTES], mediaTypes: 'docker' })
await push(source.url(), image, { name: 'src/app', tag: 'v1' })
const from = `${new URL(source.url()).host}/src/app:v1`

async function fullEdge(test: Test) {
  const edge = await startEdge({
    directory: freshDirectory('edge'),
    config: { storage: { maxsize: '4MiB' } },
  })
  test.teardown(() => edge.stop())
  /** Requests that found no room. */
  const refused = async () => {
    const isRefused = (line: (typeof edge.logs)[number]) =>
      line.msg === 'request completed' && line['status'] === 507
    await edge.untilLogged(isRefused)
    return edge.logs.filter(isRefused).length
  }
  return { target: new URL(edge.url).host, refused }
}

for (const daemon of [DOCKER, DOCKER_ON_CONTAINERD]) {
  t.test(`R295: ${daemon.name} stops at an edge that is full, and prints why`, async t => {
    const { target, refused } = await fullEdge(t)
    const engine = await startEngine(daemon)
    t.teardown(() => engine.stop())
    await engine.pull(from)
    await engine.tag(from, `${target}/app`)
    t.match(await engine.push(`${target}/app`).then(() => '', String), TOLD)
    t.equal(await refused(), 1)
  })
}

t.test('R295: skopeo stops at an edge that is full, and prints why', async t => {
  const { target, refused } = await fullEdge(t)
  const policy = join(freshDirectory('sk'), 'policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
  const args = [
    '--policy',
    policy,
    'copy',
    ...plain,
    `docker://${from}`,
    `docker://${target}/app:v1`,
  ]
  t.match(await runCommand(packagedTool('skopeo'), args).then(() => '', String), TOLD)
  t.equal(await refused(), 1)
})

t.test('R295: podman stops at an edge that is full, and prints why', async t => {
  const { target, refused } = await fullEdge(t)
  const { podman, policy } = containersIn(freshDirectory('pm'))
  const plain = ['--tls-verify=false', ...policy]
  await podman('pull', ...plain, from)
  t.match(await podman('push', ...plain, from, `${target}/app:v1`).then(() => '', String), TOLD)
  t.equal(await refused(), 1)
})
