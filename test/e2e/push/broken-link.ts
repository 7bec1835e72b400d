// Clients whose connection breaks in the middle of a large blob, once: by themselves or when they
// are run again, the push ends whole.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { layeredImage } from '../images.ts'
import { freshDirectory, runCommand } from '../processes.ts'
import { goTool, packagedTool } from '../tools.ts'
import { startCuttingProxy } from './cutting-proxy.ts'
import { publish, readWhole, type Scenario } from './scene.ts'

const LAYER_BYTES = 24 * 1024 * 1024
const CUT_BYTES = 10 * 1024 * 1024

/** A copy from the source to a name at the edge. */
type Copy = (source: string, target: string) => Promise<void>

/** Per client. */
function copies(directory: string): Readonly<Record<string, Copy>> {
  const policy = join(directory, 'policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const env = { REGCTL_CONFIG: join(directory, 'regctl.json') }
  const host = (name: string) => name.split('/')[0] ?? ''
  return {
    skopeo: async (source, target) => {
      const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
      const names = [`docker://${source}`, `docker://${target}`]
      await runCommand(packagedTool('skopeo'), ['--policy', policy, 'copy', ...plain, ...names])
    },
    crane: async (source, target) => {
      await runCommand(goTool('crane'), ['copy', '--insecure', source, target])
    },
    regctl: async (source, target) => {
      for (const name of [source, target])
        await runCommand(goTool('regctl'), ['registry', 'set', host(name), '--tls', 'disabled'], {
          env,
        })
      // In chunks, which is what it resumes.
      const chunks = ['--blob-chunk', '4000000', '--blob-max', '8000000']
      await runCommand(goTool('regctl'), ['registry', 'set', host(target), ...chunks], { env })
      await runCommand(goTool('regctl'), ['image', 'copy', source, target], { env })
    },
  }
}

export const brokenLinkPushes: Scenario = {
  name: 'a link that breaks',
  async run(t, scene) {
    const proxy = await startCuttingProxy(scene.target)
    t.teardown(() => proxy.close())
    for (const [client, copy] of Object.entries(copies(freshDirectory('bl')))) {
      const image = layeredImage({ seed: `broken-${client}`, layerBytes: [LAYER_BYTES] })
      const source = await publish(scene, image, { name: `src/broken-${client}`, tag: 'v1' })
      const name = `localhost/broken/${client}`
      const cutsBefore = proxy.cuts()
      proxy.cutAfter(CUT_BYTES)
      const alone = await copy(source, `${proxy.authority}/${name}:v1`).then(
        () => true,
        () => false,
      )
      t.equal(proxy.cuts() - cutsBefore, 1, `${client}: the link broke in the middle of the blob`)
      if (!alone) await copy(source, `${proxy.authority}/${name}:v1`)
      const whole = await readWhole(scene.target, name, 'v1')
      t.equal(
        whole.digest,
        image.manifest.digest,
        `${client}: whole ${alone ? 'by itself' : 'when it was run again'}`,
      )
    }
  },
}

const LARGE_BYTES = 200 * 1024 * 1024

export const largePushes: Scenario = {
  name: 'a layer of 200 MB',
  async run(t, scene) {
    const image = layeredImage({ seed: 'large', layerBytes: [LARGE_BYTES] })
    const source = await publish(scene, image, { name: 'src/large', tag: 'v1' })
    const name = 'localhost/large/app'
    await runCommand(goTool('crane'), ['copy', '--insecure', source, `${scene.target}/${name}:v1`])
    const whole = await readWhole(scene.target, name, 'v1')
    t.equal(whole.digest, image.manifest.digest, 'pushed and read back whole')
  },
}
