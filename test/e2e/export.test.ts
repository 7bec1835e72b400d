// Goal: container tools read a bundle as it is, and get what was at the registry, byte for byte.
// Method: a real registry with images, one of two platforms, the edge as a process before it, one
// bundle of all of them; each tool copies an image out of that file to another registry or store,
// and says its digest.
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { INDEX_NAME, INVENTORY_NAME } from '../../src/bundle/layout.ts'
import { digestHex } from '../../src/oci/digest.ts'
import { PROJECT, startEdge } from '../kit/worlds/edge-process.ts'
import { get } from '../kit/clients/raw-client.ts'
import { daemonConfig } from './clients/containerd.ts'
import { layeredImage, push, twoPlatforms } from './images.ts'
import { freshDirectory, runCommand, startProcess } from './processes.ts'
import { goTool, packagedTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(300_000)

/** Everything is on loopback: longer than this is a hang. */
const PATIENCE_MS = 20_000
/** The file system tells of no growth. */
const LOOK_AGAIN_MS = 2

const directory = freshDirectory('export')
const upstream = UPSTREAM_SERVERS['distribution 3.1']()
await upstream.start()
t.teardown(() => upstream.stop())
const other = UPSTREAM_SERVERS['distribution 3.1']()
await other.start()
t.teardown(() => other.stop())

const app = twoPlatforms({ seed: 'app', layerBytes: [200_000, 3_000] })
const tool = layeredImage({ seed: 'tool', layerBytes: [50_000], mediaTypes: 'docker' })
const names = { app: 'docker.io/library/app:v1', tool: 'docker.io/team/tool:v1' }
await push(upstream.url(), app, { name: 'library/app', tag: 'v1' })
await push(upstream.url(), tool, { name: 'team/tool', tag: 'v1' })

const edge = await startEdge({
  directory: freshDirectory('edge'),
  upstreams: { 'docker.io': { url: upstream.url(), http: true } },
})
t.teardown(() => edge.stop())
const config = join(edge.directory, 'config.yaml')
const entrepot = (...args: string[]) =>
  runCommand(process.execPath, [join(PROJECT, 'src/main.ts'), ...args, '--config', config])

const bundle = join(directory, 'bundle.tar')
await entrepot('export', names.app, names.tool, '--all-platforms', '-o', bundle)

const policy = join(directory, 'policy.json')
writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')

/** What the other registry has under this name. */
async function digestAt(name: string): Promise<unknown> {
  const accept = `${app.manifest.mediaType}, ${tool.manifest.mediaType}`
  const answer = await get(`${other.url()}/v2/${name}/manifests/v1`, { accept })
  return answer.headers['docker-content-digest']
}

await t.test('R831: skopeo copies an image out of it by its name', async t => {
  const copy = async (source: string, name: string) => {
    const target = `docker://${new URL(other.url()).host}/skopeo/${name}:v1`
    const args = ['--policy', policy, 'copy', '--all', '--dest-tls-verify=false', source, target]
    await runCommand(packagedTool('skopeo'), ['--override-os', 'linux', ...args])
    return digestAt(`skopeo/${name}`)
  }
  t.equal(await copy(`oci-archive:${bundle}:${names.app}`, 'app'), app.manifest.digest)
  // Debian's looks for names of OCI's media types alone, and without a name takes the only image.
  const alone = join(directory, 'tool.tar')
  await entrepot('export', names.tool, '-o', alone)
  t.equal(await copy(`oci-archive:${alone}`, 'tool'), tool.manifest.digest)
})

await t.test('R831: regctl imports each image out of it by its name', async t => {
  for (const [name, image] of Object.entries({ app, tool })) {
    const target = `${new URL(other.url()).host}/regctl/${name}:v1`
    const host = ['--host', `reg=${new URL(other.url()).host},tls=disabled`]
    const from = ['--name', names[name as keyof typeof names]]
    await runCommand(goTool('regctl'), [...host, 'image', 'import', ...from, target, bundle])
    t.equal(await digestAt(`regctl/${name}`), image.manifest.digest, name)
  }
})

await t.test('R831: podman pulls an image out of it by its name', async t => {
  const root = freshDirectory('pod')
  const places = ['--root', join(root, 'r'), '--runroot', join(root, 'u')]
  const store = [...places, '--storage-driver', 'vfs']
  const podman = (...args: string[]) => runCommand(packagedTool('podman'), [...store, ...args])
  await podman('pull', '--signature-policy', policy, `oci-archive:${bundle}:${names.app}`)
  const inspected = await podman('image', 'inspect', '--format', '{{.Digest}} {{.Os}}', names.app)
  t.match(inspected, /^sha256:[0-9a-f]{64} linux/)
  const children = app.children.map(({ manifest }) => manifest.digest)
  t.ok([app.manifest.digest, ...children].some(each => inspected.startsWith(each)))
})

await t.test('R831: ctr imports all of it, by canonical names', async t => {
  const home = freshDirectory('cd')
  const socket = join(home, 's')
  writeFileSync(join(home, 'config.toml'), daemonConfig(home, socket))
  const daemon = startProcess(goTool('containerd'), ['-c', join(home, 'config.toml')])
  t.teardown(() => daemon.stop())
  await daemon.line(line => line.includes('containerd successfully booted'))
  const ctr = (...args: string[]) => runCommand(goTool('ctr'), ['-a', socket, ...args])
  await ctr('images', 'import', '--no-unpack', '--all-platforms', bundle)
  const list = await ctr('images', 'ls')
  for (const [name, image] of Object.entries({ app, tool })) {
    const line = list.split('\n').find(each => each.startsWith(names[name as keyof typeof names]))
    t.match(line, image.manifest.digest, name)
  }
})

await t.test('R831: crane pushes a layout that was exported into a directory', async t => {
  const layout = join(directory, 'layout')
  await entrepot('export', names.app, names.tool, '--all-platforms', '-o', `${layout}/`)
  const target = `${new URL(other.url()).host}/crane/all:v1`
  await runCommand(goTool('crane'), ['push', '--insecure', '--index', layout, target])
  const { body } = await get(`${other.url()}/v2/crane/all/manifests/v1`, {
    accept: app.manifest.mediaType,
  })
  t.match(JSON.parse(body.toString()), JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')))
  const blob = await get(`${other.url()}/v2/crane/all/blobs/${tool.config.digest}`)
  t.ok(blob.body.equals(tool.config.bytes()))
})

await t.test('the signature of the inventory is right for openssl', async t => {
  const inventory = await runCommand('tar', ['xOf', bundle, 'entrepot/inventory'])
  const end = JSON.parse(inventory.trimEnd().split('\n').at(-1) ?? '') as Record<string, string>
  const file = (name: string) => join(directory, name)
  writeFileSync(file('pem'), await entrepot('key', 'show', '--pem'))
  writeFileSync(file('statement'), `entrepot inventory 1\nsha256:${end['sha256']}\n`)
  writeFileSync(file('signature'), Buffer.from(end['signature'] ?? '', 'base64'))
  const verify = ['pkeyutl', '-verify', '-pubin', '-inkey', file('pem'), '-rawin']
  const what = ['-in', file('statement'), '-sigfile', file('signature')]
  t.match(await runCommand('openssl', [...verify, ...what]), /Verified Successfully/i)
})

await t.test('R837: signatures by cosign, of both forms, are in it', async t => {
  const home = freshDirectory('cs')
  const env = { COSIGN_PASSWORD: '' }
  const cosign = (...args: string[]) => runCommand(goTool('cosign'), args, { env, cwd: home })
  await cosign('generate-key-pair')
  const place = new URL(upstream.url()).host
  const image = layeredImage({ seed: 'signed', layerBytes: [10_000] })
  await push(upstream.url(), image, { name: 'library/signed', tag: 'v1' })
  for (const form of [[], ['--new-bundle-format=false']]) {
    const how = ['--yes', '--allow-http-registry', '--tlog-upload=false', ...form]
    const key = ['--key', 'cosign.key', '--use-signing-config=false']
    await cosign('sign', ...how, ...key, `${place}/library/signed@${image.manifest.digest}`)
  }
  const file = join(directory, 'signed.tar')
  await entrepot('export', 'docker.io/library/signed:v1', '-o', file)
  const { manifests } = JSON.parse(await runCommand('tar', ['xOf', file, INDEX_NAME])) as {
    manifests: readonly { annotations: Record<string, string> }[]
  }
  const hex = digestHex(image.manifest.digest)
  const tagged = `docker.io/library/signed:sha256-${hex}.sig`
  const found = manifests.map(({ annotations }) => annotations)
  t.ok(
    found.some(each => each['io.containerd.image.name'] === tagged),
    'by a tag',
  )
  const about = found.map(each => each['io.containerd.manifest.subject'])
  t.ok(about.includes(image.manifest.digest), 'by its subject')
  const inventory = await runCommand('tar', ['xOf', file, INVENTORY_NAME])
  t.match(inventory, `"image":"${tagged}"`)
})

await t.test('R836: a command that was killed goes on, and ends the same', async t => {
  const name = 'docker.io/library/large:v1'
  const large = layeredImage({ seed: 'large', layerBytes: [60_000_000, 60_000_000] })
  await push(upstream.url(), large, { name: 'library/large', tag: 'v1' })
  const whole = join(directory, 'large.tar')
  await entrepot('export', name, '-o', whole)
  const file = join(directory, 'killed.tar')
  const command = [join(PROJECT, 'src/main.ts'), 'export', name, '-o', file, '--config', config]
  const killed = startProcess(process.execPath, command)
  await grown(`${file}.part`, 1_000_000)
  await killed.kill()
  t.notOk(existsSync(file))
  t.match(await entrepot('export', name, '-o', file), /are there, and right/)
  t.ok(readFileSync(file).equals(readFileSync(whole)))
})

/** Resolves when the file has so many bytes. */
async function grown(file: string, sizeBytes: number): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) < sizeBytes) {
    if (Date.now() > deadline) throw new Error(`${file} does not grow`)
    await wait(LOOK_AGAIN_MS)
  }
}
