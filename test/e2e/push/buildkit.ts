// BuildKit: a build pushed as an image, and a cache in the registry that another builder takes
// from.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freshDirectory, type Process, runCommand, startProcess } from '../processes.ts'
import { goTool } from '../tools.ts'
import { readWhole, type Scenario } from './scene.ts'

interface Builder {
  readonly daemon: Process
  build(...args: string[]): Promise<string>
}

interface BuilderOptions {
  /** What it builds on. Default: nothing. */
  readonly from?: string
  /** A directory with a `config.json` as docker keeps it. Default: none, and no login. */
  readonly dockerConfig?: string
}

export async function startBuilder(
  target: string,
  { from = 'scratch', dockerConfig }: BuilderOptions = {},
): Promise<Builder> {
  const directory = freshDirectory('bk')
  const address = `unix://${join(directory, 's')}`
  const context = join(directory, 'context')
  mkdirSync(context)
  writeFileSync(join(context, 'Dockerfile'), `FROM ${from}\nCOPY file /file\nCOPY other /other\n`)
  writeFileSync(join(context, 'file'), 'one\n')
  writeFileSync(join(context, 'other'), 'two\n')
  const config = join(directory, 'buildkitd.toml')
  writeFileSync(
    config,
    `[worker.containerd]\nenabled = false\n[worker.oci]\nenabled = true\nsnapshotter = "native"\n[registry."${target}"]\nhttp = true\n`,
  )
  const place = ['--root', join(directory, 'data'), '--addr', address]
  const daemon = startProcess(goTool('buildkitd'), ['--config', config, ...place])
  await daemon.line(line => line.includes('running server on'))
  const build = async (...args: string[]) => {
    const frontend = ['--frontend', 'dockerfile.v0', '--progress', 'plain']
    const local = ['--local', `context=${context}`, '--local', `dockerfile=${context}`]
    const command = ['--addr', address, 'build', ...frontend, ...local, ...args]
    const env = dockerConfig === undefined ? {} : { DOCKER_CONFIG: dockerConfig }
    const running = startProcess(goTool('buildctl'), command, { env })
    if ((await running.exited) !== 0) throw new Error(`buildctl: ${running.output()}`)
    return running.output()
  }
  return { daemon, build }
}

export const buildkitPushes: Scenario = {
  name: 'BuildKit',
  async run(t, { target }) {
    const builder = await startBuilder(target)
    t.teardown(() => builder.daemon.stop())
    const cache = `type=registry,ref=${target}/localhost/bk/cache:v1,registry.insecure=true`
    await builder.build(
      '--output',
      `type=image,name=${target}/localhost/bk/app:v1,push=true`,
      '--export-cache',
      `${cache},mode=max`,
    )
    await readWhole(target, 'localhost/bk/app', 'v1')
    const kept = await readWhole(target, 'localhost/bk/cache', 'v1')
    t.ok(kept.digests.size > 1, 'the cache is in the registry')

    const other = await startBuilder(target)
    t.teardown(() => other.daemon.stop())
    const output = await other.build('--import-cache', cache)
    t.match(output, /CACHED/, 'another builder takes its steps from there')
    const image = `${target}/localhost/bk/app:v1`
    const digest = await runCommand(goTool('crane'), ['digest', '--insecure', image])
    t.match(digest, /^sha256:/, 'and others find the image')
  },
}
