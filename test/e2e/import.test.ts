// Goal: what one edge exports is pulled by real clients from another one, whose upstream is
// offline: each image byte for byte under the name that it had. Method: a real registry, an edge as
// a process before it, a second one that knows no other machine; a file goes from one to the other.
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import t from 'tap'
import { digestHex, digestOf } from '../../src/oci/digest.ts'
import { PROJECT, startEdge } from '../kit/worlds/edge-process.ts'
import { layeredImage, push, twoPlatforms } from './images.ts'
import { freshDirectory, runCommand } from './processes.ts'
import { goTool, packagedTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(300_000)

const directory = freshDirectory('import')
const upstream = UPSTREAM_SERVERS['distribution 3.1']()
await upstream.start()
t.teardown(() => upstream.stop())

const app = twoPlatforms({ seed: 'app', layerBytes: [200_000, 3_000] })
const tool = layeredImage({ seed: 'tool', layerBytes: [50_000], mediaTypes: 'docker' })
const names = ['docker.io/library/app:v1', 'docker.io/team/tool:v1']
await push(upstream.url(), app, { name: 'library/app', tag: 'v1' })
await push(upstream.url(), tool, { name: 'team/tool', tag: 'v1' })

const from = await startEdge({
  directory: freshDirectory('from'),
  upstreams: { 'docker.io': { url: upstream.url(), http: true } },
})
t.teardown(() => from.stop())
const to = await startEdge({
  directory: freshDirectory('to'),
  upstreams: { 'docker.io': { url: 'http://127.0.0.1:1', http: true, offline: true } },
})
t.teardown(() => to.stop())
const entrepot = (edge: typeof to, ...args: string[]) =>
  runCommand(process.execPath, [
    join(PROJECT, 'src/main.ts'),
    ...args,
    '--config',
    join(edge.directory, 'config.yaml'),
  ])
const bundle = join(directory, 'bundle.tar')
await entrepot(from, 'export', ...names, '--all-platforms', '-o', bundle)
await from.stop()
await entrepot(to, 'import', bundle)
const host = new URL(to.url).host

await t.test('R890: skopeo copies all of an imported index, as it was', async t => {
  const target = join(directory, 'app')
  const args = ['--insecure-policy', 'copy', '--all', '--preserve-digests']
  const source = `docker://${host}/docker.io/library/app:v1`
  await runCommand(packagedTool('skopeo'), [
    ...args,
    '--src-tls-verify=false',
    source,
    `dir:${target}`,
  ])
  const index = readFileSync(join(target, 'manifest.json'))
  t.equal(digestOf(index), app.manifest.digest)
  for (const { layers } of app.children)
    for (const layer of layers) {
      const bytes = readFileSync(join(target, digestHex(layer.digest)))
      t.ok(bytes.equals(Buffer.from(layer.bytes())), layer.digest)
    }
})

await t.test('R890: podman pulls an imported image under its own name, by a mirror', async t => {
  const root = freshDirectory('pod')
  const places = ['--root', join(root, 'r'), '--runroot', join(root, 'u')]
  const podman = (...args: string[]) =>
    runCommand(packagedTool('podman'), [...places, '--storage-driver', 'vfs', ...args])
  const name = `${host}/docker.io/library/app:v1`
  await podman('pull', '--tls-verify=false', name)
  const inspected = await podman('image', 'inspect', '--format', '{{.Digest}}', name)
  const digests = [app, ...app.children].map(({ manifest }) => manifest.digest as string)
  t.ok(digests.includes(inspected.trim()), inspected)
})

await t.test('R890: crane verifies an imported image of Docker’s media types', async t => {
  const digest = await runCommand(goTool('crane'), [
    'digest',
    '--insecure',
    `${host}/docker.io/team/tool:v1`,
  ])
  t.equal(digest.trim(), tool.manifest.digest)
  await runCommand(goTool('crane'), [
    'validate',
    '--insecure',
    '--remote',
    `${host}/docker.io/team/tool:v1`,
  ])
})
