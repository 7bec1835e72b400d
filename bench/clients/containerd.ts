// containerd 2 with `ctr images pull`: its transfer service takes three blobs at a time and unpacks layers as they are there. A blob is
// downloaded when its file stands in the content store under its digest, where containerd puts it once it was verified.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { daemonConfig } from '../../test/e2e/clients/containerd.ts'
import { runCommand, startProcess } from '../../test/e2e/processes.ts'
import { goTool } from '../../test/e2e/tools.ts'
import { noteProcess } from '../ledger.ts'
import { type PullClient, referenceOf, secondsSince } from './client.ts'

export const CTR = 'ctr'
const CONTENT = 'data/io.containerd.content.v1.content/blobs'
/** Between two looks at the content store: the error of the download's time. */
const LOOK_MS = 5

export const containerd: PullClient = {
  name: CTR,
  start: async directory => {
    const program = goTool('ctr')
    const socket = join(directory, 's')
    mkdirSync(directory, { recursive: true })
    const config = join(directory, 'config.toml')
    writeFileSync(config, daemonConfig(directory, socket))
    const daemon = startProcess(goTool('containerd'), ['-c', config], { cwd: directory })
    noteProcess(daemon.pid)
    await daemon.line(line => line.includes('containerd successfully booted'))
    const ctr = (...args: readonly string[]) => runCommand(program, ['-a', socket, ...args])
    return {
      pull: async image => {
        const reference = referenceOf(image)
        const platform = ['--platform', 'linux/amd64']
        const startMs = performance.now()
        const pulling = ctr('images', 'pull', '--plain-http', ...platform, reference)
        const ended = pulling.then(
          () => 'ended',
          () => 'ended',
        )
        const downloaded = untilThere(directory, image.blobs, ended).then(() =>
          secondsSince(startMs),
        )
        await pulling
        const wholeSeconds = secondsSince(startMs)
        const downloadSeconds = await downloaded
        await ctr('images', 'rm', '--sync', reference)
        return { downloadSeconds, wholeSeconds }
      },
      stop: () => daemon.stop(),
    }
  },
}

/** Or until `ended`. */
async function untilThere(
  directory: string,
  digests: readonly string[],
  ended: Promise<unknown>,
): Promise<void> {
  let over = false
  void ended.then(() => {
    over = true
  })
  const paths = digests.map(digest => join(directory, CONTENT, digest.replace(':', '/')))
  while (!over && !paths.every(path => existsSync(path))) await wait(LOOK_MS)
}
