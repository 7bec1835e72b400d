// skopeo: copies in both formats, all platforms of an index, and images that umoci made.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { layeredImage, twoPlatforms } from '../images.ts'
import { freshDirectory, runCommand } from '../processes.ts'
import { packagedTool } from '../tools.ts'
import { publish, readWhole, type Scenario } from './scene.ts'

const OCI = 'application/vnd.oci.image.manifest.v1+json'
const DOCKER = 'application/vnd.docker.distribution.manifest.v2+json'

function skopeoIn(directory: string) {
  const policy = join(directory, 'policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  return (...args: string[]) =>
    runCommand(packagedTool('skopeo'), ['--policy', policy, '--override-os', 'linux', ...args], {
      env: { REGISTRY_AUTH_FILE: join(directory, 'auth.json') },
    })
}

const BOTH_PLAIN = ['--src-tls-verify=false', '--dest-tls-verify=false']

export const skopeoPushes: Scenario = {
  name: 'skopeo',
  async run(t, scene) {
    const { target } = scene
    const directory = freshDirectory('sk')
    const skopeo = skopeoIn(directory)
    const image = layeredImage({ seed: 'skopeo', layerBytes: [30_000, 40_000] })
    const index = twoPlatforms({ seed: 'skopeo-index', layerBytes: [20_000] })
    await publish(scene, image, { name: 'src/skopeo', tag: 'v1' })
    await publish(scene, index, { name: 'src/skopeo', tag: 'all' })
    const from = (tag: string) => `docker://${scene.source}/src/skopeo:${tag}`
    const to = (tag: string) => `docker://${target}/localhost/skopeo/app:${tag}`

    await skopeo('copy', ...BOTH_PLAIN, from('v1'), to('same'))
    const same = await readWhole(target, 'localhost/skopeo/app', 'same')
    t.equal(same.digest, image.manifest.digest, 'copy: the same manifest, every blob right')
    for (const [format, mediaType] of [
      ['v2s2', DOCKER],
      ['oci', OCI],
    ] as const) {
      await skopeo('copy', ...BOTH_PLAIN, '--format', format, from('v1'), to(format))
      const copied = await readWhole(target, 'localhost/skopeo/app', format)
      t.equal(copied.mediaType, mediaType, `--format ${format}: that media type, every blob right`)
    }
    await skopeo('copy', ...BOTH_PLAIN, '--all', from('all'), to('all'))
    const all = await readWhole(target, 'localhost/skopeo/app', 'all')
    t.equal(all.digest, index.manifest.digest, 'copy --all: the index and both platforms')

    const back = join(directory, 'back')
    await skopeo('copy', '--src-tls-verify=false', to('same'), `dir:${back}`)
    const manifest = readFileSync(join(back, 'manifest.json'))
    t.same(manifest, image.manifest.bytes, 'pulled back: the same bytes')
    const blobs = readdirSync(back).filter(name => /^[0-9a-f]{64}$/.test(name))
    t.equal(blobs.length, 3, 'pulled back: config and layers')
    const tags = await skopeo('list-tags', '--tls-verify=false', to('same').replace(/:same$/, ''))
    t.match(tags, /"all"[^]*"oci"[^]*"same"[^]*"v2s2"/, 'list-tags shows them all')
    await skopeo('delete', '--tls-verify=false', to('oci'))
    await t.rejects(readWhole(target, 'localhost/skopeo/app', 'oci'), 'delete: gone')
  },
}

export const umociPushes: Scenario = {
  name: 'umoci, pushed by skopeo',
  async run(t, { target }) {
    const directory = freshDirectory('um')
    const skopeo = skopeoIn(directory)
    const umoci = (...args: string[]) => runCommand(packagedTool('umoci'), args)
    const layout = join(directory, 'l')
    const file = join(directory, 'file')
    writeFileSync(file, 'made by umoci\n')
    await umoci('init', '--layout', layout)
    await umoci('new', '--image', `${layout}:v1`)
    await umoci('insert', '--rootless', '--image', `${layout}:v1`, file, '/file')
    const name = `docker://${target}/localhost/umoci/app:v1`
    await skopeo('copy', '--dest-tls-verify=false', `oci:${layout}:v1`, name)
    await readWhole(target, 'localhost/umoci/app', 'v1')
    const back = join(directory, 'back')
    await skopeo('copy', '--src-tls-verify=false', name, `oci:${back}:v1`)
    await umoci('unpack', '--rootless', '--image', `${back}:v1`, join(directory, 'bundle'))
    const unpacked = readFileSync(join(directory, 'bundle', 'rootfs', 'file'), 'utf8')
    t.equal(unpacked, 'made by umoci\n', 'pushed, pulled back and unpacked')
  },
}
