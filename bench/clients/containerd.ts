// containerd 2 with `ctr images pull`: its transfer service takes three blobs at a time and unpacks
// layers as they are there.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { daemonConfig } from '../../test/e2e/clients/containerd.ts'
import { runCommand, startProcess } from '../../test/e2e/processes.ts'
import { goTool } from '../../test/e2e/tools.ts'
import { noteProcess } from '../ledger.ts'
import { type PullClient, referenceOf, secondsSince } from './client.ts'
import { contentStore, secondsUntilStored } from './content-store.ts'

export const CTR = 'ctr'

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
        const content = contentStore(join(directory, 'data'))
        const downloaded = secondsUntilStored(content, image.blobs, { startMs, pulling })
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
