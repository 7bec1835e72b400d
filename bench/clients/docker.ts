// dockerd, over its API: `POST /images/create` streams what happens to each layer. A download is
// over with the last "Download complete", which the one with containerd's store looks for ten times
// a second, so that its store is looked at instead. What comes after is unpacking, which goes on
// layer by layer while others are still downloaded.
import { request } from 'node:http'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { startProcess } from '../../test/e2e/processes.ts'
import { GO_TOOLS_DIRECTORY, goTool, packagedTool } from '../../test/e2e/tools.ts'
import { noteProcess } from '../ledger.ts'
import { type PullClient, secondsSince } from './client.ts'
import { contentStore, secondsUntilStored } from './content-store.ts'

export const DOCKERD_GRAPH = 'dockerd 20.10, graph driver'
export const DOCKERD_CONTAINERD = 'dockerd 29, containerd store'
/** Between two looks for the daemon's socket. */
const LOOK_MS = 50
const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

interface Daemon {
  readonly name: string
  /** @throws Error when it is not installed */
  readonly program: () => string
  /** It starts the first containerd that it finds here. */
  readonly path: string
  /**
   * Where blobs are kept, seen from the daemon's directory. Default: nowhere, only what was
   * unpacked is.
   */
  readonly content?: string
}

/** As older sites run it. */
export const dockerdGraph = dockerd({
  name: DOCKERD_GRAPH,
  program: () => packagedTool('dockerd'),
  path: SYSTEM_PATH,
})

/** As installed today. */
export const dockerdContainerd = dockerd({
  name: DOCKERD_CONTAINERD,
  program: () => goTool('dockerd'),
  path: `${GO_TOOLS_DIRECTORY}:${SYSTEM_PATH}`,
  content: contentStore('data/containerd/daemon'),
})

interface Progress {
  readonly status?: string
  readonly error?: string
}

function dockerd({ name, program, path, content }: Daemon): PullClient {
  return {
    name,
    start: async directory => {
      mkdirSync(directory, { recursive: true })
      const socket = join(directory, 's')
      writeFileSync(join(directory, 'daemon.json'), '{}')
      const args = [
        ['--data-root', join(directory, 'data'), '--exec-root', join(directory, 'x')],
        ['--pidfile', join(directory, 'pid'), '-H', `unix://${socket}`],
        ['--config-file', join(directory, 'daemon.json')],
        ['--iptables=false', '--ip6tables=false', '--bridge=none'],
      ].flat()
      const daemon = startProcess(program(), args, { cwd: directory, env: { PATH: path } })
      noteProcess(daemon.pid)
      await daemon.line(line => line.includes('API listen on'))
      while (!existsSync(socket)) await wait(LOOK_MS)
      noteProcess(Number(readFileSync(join(directory, 'x/containerd/containerd.pid'), 'utf8')))
      return {
        pull: async ({ authority, repository, tag, blobs }) => {
          const query = new URLSearchParams({ fromImage: `${authority}/${repository}`, tag })
          const startMs = performance.now()
          let toldSeconds = Number.NaN
          const pulling = call(
            socket,
            { method: 'POST', path: `/images/create?${query.toString()}` },
            line => {
              const { status, error } = JSON.parse(line) as Progress
              if (error !== undefined) throw new Error(`${name}: ${error}`)
              if (status === 'Download complete') toldSeconds = secondsSince(startMs)
            },
          )
          const stored =
            content === undefined
              ? undefined
              : secondsUntilStored(join(directory, content), blobs, { startMs, pulling })
          await pulling
          const wholeSeconds = secondsSince(startMs)
          const downloadSeconds = (await stored) ?? toldSeconds
          const image = `${authority}/${repository}:${tag}`
          await call(socket, { method: 'DELETE', path: `/images/${image}?force=1` })
          return { downloadSeconds, wholeSeconds }
        },
        stop: () => daemon.stop(),
      }
    },
  }
}

/** @throws Error for a status that is no success, and what `onLine` throws */
async function call(
  socketPath: string,
  { method, path }: { readonly method: string; readonly path: string },
  onLine: (line: string) => void = () => {},
): Promise<void> {
  const outgoing = request({ socketPath, method, path, agent: false }).end()
  const [response] = (await once(outgoing, 'response')) as [
    NodeJS.ReadableStream & { readonly statusCode?: number },
  ]
  const failed = (response.statusCode ?? 0) >= 400
  let rest = ''
  for await (const chunk of response.setEncoding('utf8')) {
    if (failed) {
      rest += String(chunk)
      continue
    }
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') onLine(line)
  }
  if (failed) throw new Error(`${method} ${path}: ${rest.trim()}`)
}
