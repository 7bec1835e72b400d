// Real registries that play the upstream: Debian's docker-registry and distribution v3, each over a
// directory of its own.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freshDirectory, type Process, startProcess } from './processes.ts'
import { goTool, packagedTool } from './tools.ts'

export interface UpstreamServer {
  readonly name: string
  /** Changes when it was stopped and started again. */
  url(): string
  /** Its content stays. */
  stop(): Promise<void>
  /** On this port; by default one that the kernel chooses. */
  start(port?: string): Promise<void>
}

/** The two that the matrix runs against, by the name of their row. */
export const UPSTREAM_SERVERS = {
  'docker-registry 2.8': () =>
    registryServer('docker-registry 2.8', packagedTool('docker-registry')),
  'distribution 3.1': () => registryServer('distribution 3.1', goTool('distribution')),
} as const

export type UpstreamName = keyof typeof UPSTREAM_SERVERS

/** A registry of the distribution family with `extra` lines of configuration; not started. */
export function registryServer(name: string, program: string, extra = ''): UpstreamServer {
  const directory = freshDirectory('up')
  const config = join(directory, 'config.yml')
  let running: Process | undefined
  let address = ''
  return {
    name,
    url: () => `http://${address}`,
    async start(port = '0') {
      writeFileSync(config, configuration(join(directory, 'data'), port, extra))
      // Without this, v3 waits for a collector of traces.
      const env = { OTEL_TRACES_EXPORTER: 'none' }
      running = startProcess(program, ['serve', config], { cwd: directory, env })
      const line = await running.line(text => text.includes('listening on'))
      address = /listening on ([0-9.:]+)/.exec(line)?.[1] ?? ''
    },
    async stop() {
      await running?.stop()
      running = undefined
    },
  }
}

function configuration(data: string, port: string, extra: string): string {
  return `version: 0.1
log: { level: info }
storage:
  filesystem: { rootdirectory: ${data} }
  delete: { enabled: true }
http: { addr: 127.0.0.1:${port} }
${extra}`
}
