// Artifacts: oras (attach, discover), regctl (copies with referrers), helm (charts by version
// range) and cosign (both forms).
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { layeredImage } from '../images.ts'
import { freshDirectory, runCommand } from '../processes.ts'
import { goTool } from '../tools.ts'
import { publish, readWhole, type Scenario } from './scene.ts'

export const orasPushes: Scenario = {
  name: 'oras',
  async run(t, { target }) {
    const directory = freshDirectory('or')
    const oras = (...args: string[]) => runCommand(goTool('oras'), args, { cwd: directory })
    writeFileSync(join(directory, 'report.txt'), 'all is well\n')
    writeFileSync(join(directory, 'sbom.json'), '{"packages":[]}\n')
    const name = `${target}/localhost/oras/app:v1`
    const type = ['--artifact-type', 'application/vnd.example.report']
    await oras('push', '--plain-http', ...type, name, 'report.txt:text/plain')
    const pushed = await readWhole(target, 'localhost/oras/app', 'v1')
    t.equal(pushed.manifest.artifactType, 'application/vnd.example.report', 'any artifact type')
    const attached = ['--artifact-type', 'application/vnd.example.sbom', name, 'sbom.json']
    await oras('attach', '--plain-http', '--distribution-spec', 'v1.1-referrers-api', ...attached)
    const tree = await oras('discover', '--plain-http', '--format', 'json', name)
    t.match(tree, /application\/vnd\.example\.sbom/, 'discover finds what was attached')
    mkdirSync(join(directory, 'back'))
    await oras('pull', '--plain-http', '-o', 'back', name)
    const back = readFileSync(join(directory, 'back', 'report.txt'), 'utf8')
    t.equal(back, 'all is well\n', 'pulled back')
  },
}

export const regctlPushes: Scenario = {
  name: 'regctl',
  async run(t, scene) {
    const { target } = scene
    const directory = freshDirectory('rc')
    const env = { REGCTL_CONFIG: join(directory, 'config.json') }
    const regctl = (...args: string[]) => runCommand(goTool('regctl'), args, { env })
    const image = layeredImage({ seed: 'regctl', layerBytes: [30_000, 40_000] })
    const source = await publish(scene, image, { name: 'src/regctl', tag: 'v1' })
    await regctl('registry', 'set', scene.source, '--tls', 'disabled')
    await regctl('registry', 'set', target, '--tls', 'disabled')
    const one = `${target}/localhost/regctl/one:v1`
    const two = `${target}/localhost/regctl/two:v1`
    await regctl('image', 'copy', source, one)
    const file = join(directory, 'note')
    writeFileSync(file, 'a note\n')
    const note = ['--artifact-type', 'application/vnd.example.note', '--file', file]
    await regctl('artifact', 'put', ...note, '--subject', one)
    await regctl('image', 'copy', '--referrers', one, two)
    const copied = await readWhole(target, 'localhost/regctl/two', 'v1')
    t.equal(copied.digest, image.manifest.digest, 'image copy: the same manifest, every blob right')
    const list = await regctl('artifact', 'list', two, '--format', '{{jsonPretty .}}')
    t.match(list, /application\/vnd\.example\.note/, 'image copy: its referrer came along')
    t.match(await regctl('tag', 'ls', two), /^v1$/m, 'the fallback tag is not needed')
    t.notMatch(await regctl('tag', 'ls', two), /sha256-/, 'and not made')
    await regctl('tag', 'delete', one)
    t.notMatch(await regctl('tag', 'ls', two.replace('two', 'one')).catch(String), /^v1$/m)
  },
}

export const helmPushes: Scenario = {
  name: 'helm',
  async run(t, { target }) {
    const directory = freshDirectory('hm')
    const env = {
      HELM_CACHE_HOME: join(directory, 'cache'),
      HELM_CONFIG_HOME: join(directory, 'config'),
      HELM_DATA_HOME: join(directory, 'data'),
    }
    const helm = (...args: string[]) => runCommand(goTool('helm'), args, { env, cwd: directory })
    const chart = join(directory, 'demo')
    mkdirSync(join(chart, 'templates'), { recursive: true })
    writeFileSync(join(chart, 'templates', 'note.yaml'), 'kind: ConfigMap\napiVersion: v1\n')
    const charts = `oci://${target}/localhost/charts`
    for (const version of ['1.0.0', '1.2.0+build.7', '2.0.0']) {
      writeFileSync(
        join(chart, 'Chart.yaml'),
        `apiVersion: v2\nname: demo\nversion: ${version}\ntype: application\n`,
      )
      await helm('package', chart, '--destination', directory)
      await helm('push', `demo-${version}.tgz`, charts, '--plain-http')
    }
    await readWhole(target, 'localhost/charts/demo', '1.2.0_build.7')
    const out = join(directory, 'out')
    mkdirSync(out)
    const range = ['--version', '^1.0.0', '--plain-http', '--destination', out]
    await helm('pull', `${charts}/demo`, ...range)
    t.same(readdirSync(out), ['demo-1.2.0+build.7.tgz'], 'the newest of the version range')
    const same = readFileSync(join(out, 'demo-1.2.0+build.7.tgz'))
    t.same(same, readFileSync(join(directory, 'demo-1.2.0+build.7.tgz')), 'byte for byte')
  },
}

const SIGNING = ['--yes', '--allow-http-registry', '--tlog-upload=false']
const VERIFYING = ['--allow-http-registry', '--insecure-ignore-tlog=true']

export const cosignPushes: Scenario = {
  name: 'cosign',
  async run(t, scene) {
    const { target } = scene
    const directory = freshDirectory('cs')
    const env = { COSIGN_PASSWORD: '' }
    const cosign = (...args: string[]) =>
      runCommand(goTool('cosign'), args, { env, cwd: directory })
    await cosign('generate-key-pair')
    for (const form of ['bundle', 'tag'] as const) {
      const image = layeredImage({ seed: `cosign-${form}`, layerBytes: [20_000] })
      const source = await publish(scene, image, { name: `src/cosign-${form}`, tag: 'v1' })
      const name = `localhost/cosign/${form}`
      await runCommand(goTool('crane'), ['copy', '--insecure', source, `${target}/${name}:v1`])
      const signed = `${target}/${name}@${image.manifest.digest}`
      const old = form === 'tag' ? ['--new-bundle-format=false'] : []
      const key = ['--key', 'cosign.key', '--use-signing-config=false']
      await cosign('sign', ...SIGNING, ...key, ...old, signed)
      await cosign('verify', ...VERIFYING, '--key', 'cosign.pub', ...old, signed)
      t.pass(`${form}: signed and verified`)
      const tags = await runCommand(goTool('crane'), ['ls', '--insecure', `${target}/${name}`])
      const tagged = /^sha256-[0-9a-f]{64}\.sig$/m.test(tags)
      t.equal(
        tagged,
        form === 'tag',
        `${form}: stored as ${form === 'tag' ? 'a tag' : 'a referrer'}`,
      )
    }
  },
}
