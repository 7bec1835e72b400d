// Goal: what real programs write into files is imported, and pulled by another program byte for
// byte under its name (R959). Method: a real registry with an image for each program, which pulls
// it and writes it out as it does; an edge as a process that knows no other machine, and reads that
// file. What docker save leaves to its reader, skopeo says of the same file.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Digest, digestHex, digestOf } from '../../src/oci/digest.ts'
import type { Image } from '../kit/image.ts'
import { PROJECT, startEdge } from '../kit/worlds/edge-process.ts'
import { daemonConfig } from './clients/containerd.ts'
import { blobsOf, layeredImage, push, twoPlatforms } from './images.ts'
import { freshDirectory, runCommand, startProcess } from './processes.ts'
import { GO_TOOLS_DIRECTORY, goTool, packagedTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(600_000)

const directory = freshDirectory('archives')
const file = (name: string) => join(directory, name)
const upstream = UPSTREAM_SERVERS['distribution 3.1']()
await upstream.start()
t.teardown(() => upstream.stop())
const registry = new URL(upstream.url()).host

const edge = await startEdge({
  directory: freshDirectory('edge'),
  upstreams: { 'docker.io': { url: 'http://127.0.0.1:1', http: true, offline: true } },
})
t.teardown(() => edge.stop())
const host = new URL(edge.url).host
const entrepot = (...args: string[]) =>
  runCommand(process.execPath, [
    join(PROJECT, 'src/main.ts'),
    ...args,
    '--config',
    join(edge.directory, 'config.yaml'),
  ])
const policy = file('policy.json')
writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
const skopeo = (...args: string[]) =>
  runCommand(packagedTool('skopeo'), ['--policy', policy, '--override-os', 'linux', ...args])

/** An image of its own, so that nothing of it is at the edge by another one. */
async function pushed(name: string, make: typeof layeredImage = layeredImage): Promise<Image> {
  const image = make({ seed: name, layerBytes: [150_000, 3_000] })
  await push(upstream.url(), image, { name: `${name}/app`, tag: 'v1' })
  return image
}

/** By skopeo, all of it; what it says and has is what was asked for. */
async function pulls(t: Test, name: string, digest: string, blobs: readonly Digest[]) {
  const target = join(freshDirectory('got'), 'image')
  const from = `docker://${host}/docker.io/${name}`
  const how = ['--all', '--preserve-digests', '--src-tls-verify=false']
  await skopeo('copy', ...how, from, `dir:${target}`)
  t.equal(digestOf(readFileSync(join(target, 'manifest.json'))), digest, name)
  for (const each of blobs)
    t.equal(digestOf(readFileSync(join(target, digestHex(each)))), each, 'byte for byte')
}

const wholly = (image: Image) => blobsOf(image).map(({ digest }) => digest)

/** Of an archive of docker save, the manifest that skopeo makes. */
async function bySkopeo(archive: string, name: string) {
  const raw = await skopeo('inspect', '--raw', `docker-archive:${archive}:${name}`)
  const { config, layers } = JSON.parse(raw) as Record<'config', { digest: Digest }> & {
    layers: readonly { digest: Digest }[]
  }
  return { digest: digestOf(Buffer.from(raw)), blobs: [config, ...layers].map(each => each.digest) }
}

async function isAsSkopeoSays(t: Test, archive: string, name: string) {
  const { digest, blobs } = await bySkopeo(archive, `docker.io/${name}`)
  await pulls(t, name, digest, blobs)
}

await t.test('R959: skopeo’s layouts, as an archive and as a directory', async t => {
  const image = await pushed('skopeo', twoPlatforms)
  const from = `docker://${registry}/skopeo/app:v1`
  const copy = ['copy', '--all', '--src-tls-verify=false', from]
  const name = 'docker.io/skopeo/app:v1'
  await skopeo(...copy, `oci-archive:${file('skopeo.tar')}:${name}`)
  t.match(await entrepot('import', file('skopeo.tar')), /OCI image layout/)
  await pulls(t, 'skopeo/app:v1', image.manifest.digest, wholly(image))
  await skopeo(...copy, `oci:${file('skopeo')}:v2`)
  await t.rejects(entrepot('import', file('skopeo')), /a tag alone, v2: say .*--as/)
  await entrepot('import', file('skopeo'), '--as', 'docker.io/skopeo/app')
  await pulls(t, 'skopeo/app:v2', image.manifest.digest, wholly(image))
})

await t.test('R959: skopeo’s docker-archive, packed by zstd as k3s packs it', async t => {
  await pushed('k3s')
  const from = `docker://${registry}/k3s/app:v1`
  const archive = file('k3s.tar')
  const name = 'docker.io/k3s/app:v1'
  await skopeo('copy', '--src-tls-verify=false', from, `docker-archive:${archive}:${name}`)
  await runCommand('zstd', ['-q', '-T0', '--long=25', archive, '-o', `${archive}.zst`])
  t.match(await entrepot('import', `${archive}.zst`), /manifests made as skopeo makes them/)
  await isAsSkopeoSays(t, archive, 'k3s/app:v1')
})

await t.test('R959: podman save, of both forms', async t => {
  const root = freshDirectory('pod')
  const places = ['--root', join(root, 'r'), '--runroot', join(root, 'u')]
  const podman = (...args: string[]) =>
    runCommand(packagedTool('podman'), [...places, '--storage-driver', 'vfs', ...args])
  await pushed('podman')
  const from = `${registry}/podman/app:v1`
  await podman('pull', '--tls-verify=false', '--signature-policy', policy, from)
  for (const form of ['docker-archive', 'oci-archive']) {
    const name = `docker.io/podman/app:${form}`
    await podman('tag', from, name)
    const archive = file(`podman-${form}.tar`)
    await podman('save', '--format', form, '-o', archive, name)
    await entrepot('import', archive)
    if (form === 'docker-archive') await isAsSkopeoSays(t, archive, `podman/app:${form}`)
    else {
      const raw = await skopeo('inspect', '--raw', `oci-archive:${archive}`)
      const { layers } = JSON.parse(raw) as { layers: readonly { digest: Digest }[] }
      const blobs = layers.map(({ digest }) => digest)
      await pulls(t, `podman/app:${form}`, digestOf(Buffer.from(raw)), blobs)
    }
  }
  await podman('rmi', '--all', '--force')
  await podman('pull', '--tls-verify=false', `${host}/docker.io/podman/app:docker-archive`)
})

await t.test('R959: ctr image export', async t => {
  const home = freshDirectory('cd')
  const socket = join(home, 's')
  writeFileSync(join(home, 'config.toml'), daemonConfig(home, socket))
  const daemon = startProcess(goTool('containerd'), ['-c', join(home, 'config.toml')])
  t.teardown(() => daemon.stop())
  await daemon.line(line => line.includes('containerd successfully booted'))
  const ctr = (...args: string[]) => runCommand(goTool('ctr'), ['-a', socket, ...args])
  const image = await pushed('ctr', twoPlatforms)
  const from = `${registry}/ctr/app:v1`
  await ctr('images', 'pull', '--plain-http', '--all-platforms', from)
  await ctr('images', 'tag', from, 'docker.io/ctr/app:v1')
  // Not by the daemon's transfer, of which ctr does not wait for the last bytes.
  const whole = ['--local', '--all-platforms', file('ctr.tar'), 'docker.io/ctr/app:v1']
  await ctr('images', 'export', ...whole)
  t.match(await entrepot('import', file('ctr.tar')), /OCI image layout/)
  await pulls(t, 'ctr/app:v1', image.manifest.digest, wholly(image))
  const one = await pushed('ctr-one', twoPlatforms)
  await ctr(
    'images',
    'pull',
    '--plain-http',
    '--platform',
    'linux/arm64',
    `${registry}/ctr-one/app:v1`,
  )
  await ctr('images', 'tag', `${registry}/ctr-one/app:v1`, 'docker.io/ctr-one/app:v1')
  const args = ['--local', '--platform', 'linux/arm64', file('one.tar'), 'docker.io/ctr-one/app:v1']
  await ctr('images', 'export', ...args)
  await entrepot('import', file('one.tar'))
  const arm64 = one.children[1]
  const got = freshDirectory('got')
  const at = `docker://${host}/docker.io/ctr-one/app:v1`
  await skopeo('--override-arch', 'arm64', 'copy', '--src-tls-verify=false', at, `dir:${got}`)
  t.equal(digestOf(readFileSync(join(got, 'manifest.json'))), arm64?.manifest.digest)
})

await t.test('R959: crane’s layout, and its docker archive with packed layers', async t => {
  const image = await pushed('crane')
  const from = `${registry}/crane/app:v1`
  const crane = (...args: string[]) => runCommand(goTool('crane'), args)
  await crane('pull', '--insecure', '--format=oci', from, file('crane'))
  await entrepot('import', file('crane'), '--as', 'docker.io/crane/app:v1')
  await pulls(t, 'crane/app:v1', image.manifest.digest, wholly(image))
  await crane('validate', '--insecure', '--remote', `${host}/docker.io/crane/app:v1`)
  await crane('pull', '--insecure', '--format=tarball', from, file('crane.tar'))
  await entrepot('import', file('crane.tar'), '--as', 'docker.io/crane/app:packed')
  await crane('validate', '--insecure', '--remote', `${host}/docker.io/crane/app:packed`)
})

await t.test('R959: regctl image export, and oras copy to a layout', async t => {
  const image = await pushed('regctl', twoPlatforms)
  const reg = ['--host', `reg=${registry},tls=disabled`]
  const from = `${registry}/regctl/app:v1`
  await runCommand(goTool('regctl'), [...reg, 'image', 'export', from, file('regctl.tar')])
  await entrepot('import', file('regctl.tar'), '--as', 'docker.io/regctl/app:v1')
  await pulls(t, 'regctl/app:v1', image.manifest.digest, wholly(image))
  const other = await pushed('oras', twoPlatforms)
  const layout = ['--to-oci-layout', `${file('oras')}:v1`]
  const oras = ['copy', '--recursive', '--from-plain-http', `${registry}/oras/app:v1`, ...layout]
  await runCommand(goTool('oras'), oras)
  await entrepot('import', file('oras'), '--as', 'docker.io/oras/app')
  await pulls(t, 'oras/app:v1', other.manifest.digest, wholly(other))
})

await t.test('R959: BuildKit’s outputs of both types, and buildah’s', async t => {
  const home = freshDirectory('bk')
  const address = `unix://${join(home, 's')}`
  const config = `[worker.containerd]\nenabled = false\n[worker.oci]\nenabled = true\nsnapshotter = "native"\n[registry."${registry}"]\nhttp = true\n`
  writeFileSync(join(home, 'buildkitd.toml'), config)
  const place = ['--root', join(home, 'data'), '--addr', address]
  const daemon = startProcess(goTool('buildkitd'), [
    '--config',
    join(home, 'buildkitd.toml'),
    ...place,
  ])
  t.teardown(() => daemon.stop())
  await daemon.line(line => line.includes('running server on'))
  const image = await pushed('buildkit')
  const context = join(home, 'context')
  mkdirSync(context)
  writeFileSync(join(context, 'Dockerfile'), `FROM ${registry}/buildkit/app:v1\n`)
  for (const type of ['oci', 'docker']) {
    const archive = file(`buildkit-${type}.tar`)
    const name = `docker.io/buildkit/app:${type}`
    const local = ['--local', `context=${context}`, '--local', `dockerfile=${context}`]
    const output = ['--output', `type=${type},name=${name},dest=${archive}`]
    const build = ['--addr', address, 'build', '--frontend', 'dockerfile.v0', ...local, ...output]
    await runCommand(goTool('buildctl'), build)
    t.match(await entrepot('import', archive), /OCI image layout/)
    const index = JSON.parse(await runCommand('tar', ['xOf', archive, 'index.json'])) as {
      manifests: readonly { digest: string }[]
    }
    const layers = image.layers.map(({ digest }) => digest)
    await pulls(t, `buildkit/app:${type}`, index.manifests[0]?.digest ?? '', layers)
  }
  const root = freshDirectory('bah')
  const places = ['--root', join(root, 'r'), '--runroot', join(root, 'u')]
  const buildah = (...args: string[]) =>
    runCommand(packagedTool('buildah'), [...places, '--storage-driver', 'vfs', ...args])
  const from = `${registry}/buildkit/app:v1`
  await buildah('pull', '--tls-verify=false', '--signature-policy', policy, from)
  const archive = file('buildah.tar')
  const target = `oci-archive:${archive}:docker.io/buildah/app:v1`
  await buildah('push', '--signature-policy', policy, from, target)
  await entrepot('import', archive)
  const raw = await skopeo('inspect', '--raw', `oci-archive:${archive}`)
  await pulls(t, 'buildah/app:v1', digestOf(Buffer.from(raw)), [])
})

/** A daemon of its own, asked over its socket as `docker save` asks it. */
async function dockerd(t: Test, program: string, pathFirst = '') {
  const home = freshDirectory('dk')
  const socket = join(home, 's')
  const places = ['--data-root', join(home, 'data'), '--exec-root', join(home, 'x')]
  const own = ['--pidfile', join(home, 'pid'), '-H', `unix://${socket}`]
  // Nothing runs in a container here, and the host's network is not ours to change.
  const args = [...places, ...own, '--iptables=false', '--ip6tables=false', '--bridge=none']
  const env = { PATH: `${pathFirst}:/usr/sbin:/usr/bin:/sbin:/bin` }
  const daemon = startProcess(program, args, { cwd: home, env })
  t.teardown(() => daemon.stop())
  await daemon.line(line => line.includes('API listen on'))
  const ask = (...how: string[]) =>
    runCommand('curl', ['-sS', '--fail-with-body', '--unix-socket', socket, ...how])
  const tagged = async (from: string, repo: string) => {
    const progress = await ask('-X', 'POST', `http://d/images/create?fromImage=${from}&tag=v1`)
    if (progress.includes('"error"')) throw new Error(progress)
    await ask('-X', 'POST', `http://d/images/${from}:v1/tag?repo=${repo}&tag=v1`)
  }
  const save = (archive: string, ...names: string[]) =>
    ask('-o', archive, `http://d/images/get?${names.map(name => `names=${name}`).join('&')}`)
  return { tagged, save, ask }
}

await t.test('R959: docker save of dockerd 20.10, several images that share a layer', async t => {
  const { tagged, save, ask } = await dockerd(t, packagedTool('dockerd'))
  const names = ['old/app', 'older/app']
  for (const name of names) {
    const image = layeredImage({ seed: name, base: 'shared', layerBytes: [150_000, 3_000] })
    await push(upstream.url(), image, { name, tag: 'v1' })
    await tagged(`${registry}/${name}`, name)
  }
  const archive = file('dockerd-20.tar')
  await save(archive, ...names.map(name => `${name}:v1`))
  t.match(await entrepot('import', archive), /^2 images, .* manifests made as skopeo makes them/)
  for (const name of names) await isAsSkopeoSays(t, archive, `${name}:v1`)
  const before = JSON.parse(await ask('http://d/images/old/app:v1/json')) as { Id: string }
  await tagged(`${host}/docker.io/old/app`, 'again')
  const after = JSON.parse(await ask('http://d/images/again:v1/json')) as { Id: string }
  t.equal(after.Id, before.Id, 'the same image for dockerd')
})

await t.test('R959: docker save of the newest dockerd', async t => {
  const { tagged, save, ask } = await dockerd(t, goTool('dockerd'), GO_TOOLS_DIRECTORY)
  const image = await pushed('moby', twoPlatforms)
  await tagged(`${registry}/moby/app`, 'moby/app')
  const archive = file('dockerd-new.tar')
  await save(archive, 'moby/app:v1')
  t.match(await entrepot('import', archive), /^1 image, .*OCI image layout/)
  const got = freshDirectory('got')
  const at = `docker://${host}/docker.io/moby/app:v1`
  await skopeo('copy', '--src-tls-verify=false', at, `dir:${got}`)
  const amd64 = image.children[0]
  t.equal(digestOf(readFileSync(join(got, 'manifest.json'))), amd64?.manifest.digest)
  await ask('-X', 'POST', `http://d/images/create?fromImage=${host}/docker.io/moby/app&tag=v1`)
})
