// Goal: a push into a namespace with an upstream gets there, while the client waits or when the
// line is back, and a refusal says why. Method: a real client, the edge as `npm start` starts it,
// Debian's docker-registry as the upstream, open and with a password.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { layeredImage, push, twoPlatforms } from './images.ts'
import { freshDirectory, runCommand } from './processes.ts'
import { DOCKER, DOCKER_ON_CONTAINERD, startEngine } from './push/docker.ts'
import { readWhole } from './push/scene.ts'
import { packagedTool } from './tools.ts'
import { registryServer, UPSTREAM_SERVERS, type UpstreamServer } from './upstream-servers.ts'

const LAYERS = [40_000, 3 * 1024 * 1024]
/** The password is `right`. */
const HTPASSWD = 'edge:$2y$05$abcdefghijklmnopqrstuu8xaCxxL82bnl.UY74PMksDxIJShppPC\n'

t.setTimeout(300_000)
// Some wait a minute for what a daemon or the edge tries again, and none needs what another one
// has.
t.jobs = 3

function skopeo() {
  const directory = freshDirectory('sk')
  const policy = join(directory, 'policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
  return (...args: string[]) =>
    runCommand(packagedTool('skopeo'), ['--policy', policy, 'copy', ...plain, ...args])
}

const authorityOf = (server: UpstreamServer) => new URL(server.url()).host

async function startBetween(
  t: Test,
  upstream: UpstreamServer,
  { mode, ...entry }: { readonly mode: 'forward' | 'queue' } & Record<string, unknown>,
) {
  const source = UPSTREAM_SERVERS['docker-registry 2.8']()
  await source.start()
  await upstream.start()
  const edge = await startEdge({
    directory: freshDirectory('edge'),
    upstreams: { 'registry.test': { url: upstream.url(), http: true, ...entry } },
    config: { default: 'localhost', repositories: [{ match: 'registry.test/**', push: mode }] },
  })
  t.teardown(async () => {
    await edge.stop()
    await upstream.stop()
    await source.stop()
  })
  return { source, edge, target: new URL(edge.url).host }
}

t.test('forward: skopeo pushes through the edge to a real registry', async t => {
  const upstream = UPSTREAM_SERVERS['docker-registry 2.8']()
  const { source, target } = await startBetween(t, upstream, { mode: 'forward' })
  const image = layeredImage({ seed: 'forward', layerBytes: LAYERS })
  const index = twoPlatforms({ seed: 'forward-all', layerBytes: LAYERS })
  await push(source.url(), image, { name: 'src/app', tag: 'v1' })
  await push(source.url(), index, { name: 'src/app', tag: 'all' })
  const copy = skopeo()
  const from = `docker://${authorityOf(source)}/src/app`
  const to = `docker://${target}/registry.test/team/app`
  await copy(`${from}:v1`, `${to}:v1`)
  await copy('--all', `${from}:all`, `${to}:all`)
  for (const [tag, { manifest }] of [
    ['v1', image],
    ['all', index],
  ] as const) {
    const there = await readWhole(authorityOf(upstream), 'team/app', tag)
    t.equal(there.digest, manifest.digest, `${tag}: the upstream has it, every blob right`)
    const here = await readWhole(target, 'registry.test/team/app', tag)
    t.equal(here.digest, manifest.digest, `${tag}: and so has the edge`)
  }
})

t.test('forward: wrong credentials are a 403 that names the namespace', async t => {
  const passwords = join(freshDirectory('pw'), 'htpasswd')
  writeFileSync(passwords, HTPASSWD)
  const auth = `auth: { htpasswd: { realm: test, path: ${passwords} } }\n`
  const upstream = registryServer('with a password', packagedTool('docker-registry'), auth)
  const { source, edge, target } = await startBetween(t, upstream, {
    mode: 'forward',
    username: 'edge',
    password: 'wrong',
  })
  const image = layeredImage({ seed: 'refused', layerBytes: LAYERS })
  await push(source.url(), image, { name: 'src/app', tag: 'v1' })
  const failure = await skopeo()(
    `docker://${authorityOf(source)}/src/app:v1`,
    `docker://${target}/registry.test/team/app:v1`,
  ).then(() => '', String)
  t.match(failure, /denied|403/i, 'the client is told that it is denied')
  t.match(failure, /registry\.test/, 'and by whom')
  const refused = await edge.untilLogged(
    line => line.msg === 'request completed' && line['status'] === 403,
  )
  t.match(JSON.stringify(refused), /registry\.test/, 'the log line of the request says so, too')
  t.notMatch(edge.output.join('\n'), /wrong/, 'the password is in no log')
})

for (const daemon of [DOCKER, DOCKER_ON_CONTAINERD]) {
  t.test(
    `R293: forward: ${daemon.name} prints why a push waits for its upstream`,
    { buffered: true },
    async t => {
      const upstream = UPSTREAM_SERVERS['docker-registry 2.8']()
      const { source, target } = await startBetween(t, upstream, { mode: 'forward' })
      const image = layeredImage({ seed: 'away', layerBytes: LAYERS, mediaTypes: 'docker' })
      await push(source.url(), image, { name: 'src/app', tag: 'v1' })
      await upstream.stop()
      const engine = await startEngine(daemon)
      t.teardown(() => engine.stop())
      await engine.pull(`${authorityOf(source)}/src/app:v1`)
      await engine.tag(`${authorityOf(source)}/src/app:v1`, `${target}/registry.test/team/app`)
      const failure = await engine.push(`${target}/registry.test/team/app`).then(() => '', String)
      t.comment(failure)
      t.match(failure, /registry\.test cannot be reached/)
    },
  )
}

t.test(
  'queue: pushed while the upstream is away, delivered when it is there',
  { buffered: true },
  async t => {
    const upstream = UPSTREAM_SERVERS['docker-registry 2.8']()
    await upstream.start()
    const url = upstream.url()
    await upstream.stop()
    const away = { ...upstream, async start() {}, url: () => url }
    const { source, edge, target } = await startBetween(t, away, { mode: 'queue' })
    const index = twoPlatforms({ seed: 'queued', layerBytes: LAYERS })
    await push(source.url(), index, { name: 'src/app', tag: 'v1' })
    const copy = skopeo()
    const name = `${target}/registry.test/team/app:v1`
    await copy('--all', `docker://${authorityOf(source)}/src/app:v1`, `docker://${name}`)
    const here = await readWhole(target, 'registry.test/team/app', 'v1')
    t.equal(here.digest, index.manifest.digest, 'readable here at once under the same name')
    await upstream.start(new URL(url).port)
    // Two platforms and the index over them.
    let delivered = 0
    await edge.untilLogged(line => {
      if (line.msg === 'push delivered') delivered += 1
      return delivered === index.children.length + 1
    })
    const there = await readWhole(authorityOf(upstream), 'team/app', 'v1')
    t.equal(there.digest, index.manifest.digest, 'the upstream has it, every blob right')
  },
)
