// skopeo into a directory: blobs one after another, nothing is unpacked.
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../../test/e2e/processes.ts'
import { packagedTool } from '../../test/e2e/tools.ts'
import { type PullClient, referenceOf, secondsSince } from './client.ts'

export const SKOPEO = 'skopeo'

export const skopeo: PullClient = {
  name: SKOPEO,
  start: async directory => {
    const program = packagedTool('skopeo')
    mkdirSync(directory, { recursive: true })
    const output = join(directory, 'image')
    return {
      pull: async image => {
        const args = ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false']
        const startMs = performance.now()
        await runCommand(program, [...args, `docker://${referenceOf(image)}`, `dir:${output}`])
        const seconds = secondsSince(startMs)
        rmSync(output, { recursive: true, force: true })
        return { downloadSeconds: seconds, wholeSeconds: seconds }
      },
      stop: async () => {},
    }
  },
}
