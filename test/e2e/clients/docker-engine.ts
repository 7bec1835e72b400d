// Both dockerd drivers: a daemon of its own data root, spoken to over its socket as the docker
// command does. The API is used rather than the command, because a packaged command is too old for
// a current daemon.
import { request } from 'node:http'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import {
  type ClientDriver,
  type EdgeAddress,
  edgeUrl,
  type Pulled,
  type PullRequest,
  referenceOf,
} from '../client-driver.ts'
import { freshDirectory, killProcess, type Process, startProcess } from '../processes.ts'

export interface DockerOptions {
  readonly name: string
  readonly program: string
  readonly plainOnly?: boolean
  /** First in the daemon's PATH: it starts the first containerd that it finds there. */
  readonly pathFirst?: string
  /** What `docker info` must say, so that the right store is tested. */
  readonly storageDriver: string
  /** Waits until its containerd, at this socket, may be killed with a layer still to come. */
  killable?(socket: string): Promise<void>
  /** Digests of what is held for the image of `inspected`. */
  holds(inspected: Inspected, engine: Engine): Promise<ReadonlySet<string>>
}

export interface Inspected {
  readonly Id: string
  readonly RepoDigests: readonly string[]
}

export interface Engine {
  /** The parsed answer, or the lines of a stream. @throws Error for a status that is no success. */
  call(method: string, path: string): Promise<unknown>
}

/** Where dockerd looks for authorities, by registry; no option says otherwise. */
const CERTIFICATES = '/etc/docker/certs.d'
/**
 * How long between two looks for the daemon's socket; it says nothing that could be waited for in
 * both versions.
 */
const LOOK_AGAIN_MS = 100

export function dockerDriver(options: DockerOptions): ClientDriver {
  const directory = freshDirectory('dk')
  const socket = join(directory, 's')
  const engine: Engine = { call: (method, path) => call(socket, method, path) }
  let daemon: Process | undefined
  let args: readonly string[] = []
  let trusted: string | undefined

  const up = async () => {
    const path = [options.pathFirst, '/usr/sbin:/usr/bin:/sbin:/bin'].filter(Boolean).join(':')
    daemon = startProcess(options.program, args, { cwd: directory, env: { PATH: path } })
    await daemon.line(line => line.includes('API listen on'))
    while (!existsSync(socket)) await wait(LOOK_AGAIN_MS)
  }
  const trust = ({ authority, certificates }: EdgeAddress) => {
    if (certificates === undefined) return
    trusted = join(CERTIFICATES, authority)
    mkdirSync(trusted, { recursive: true })
    copyFileSync(join(certificates, 'ca.crt'), join(trusted, 'ca.crt'))
  }
  const names = async () => {
    const images = (await engine.call('GET', '/images/json')) as Inspected[]
    return images.map(image => image.Id)
  }

  return {
    name: options.name,
    plainOnly: options.plainOnly ?? false,
    async start(edge) {
      args = flags(directory)
      trust(edge)
      writeFileSync(join(directory, 'daemon.json'), daemonConfig(edge))
      await up()
      const info = (await engine.call('GET', '/info')) as { Driver: string }
      if (info.Driver !== options.storageDriver) throw new Error(`storage driver ${info.Driver}`)
    },
    async pull(wanted) {
      const { name, reference, architecture = 'amd64' } = wanted
      const query = new URLSearchParams({
        fromImage: name,
        tag: reference,
        platform: `linux/${architecture}`,
      })
      const lines = (await engine.call('POST', `/images/create?${query.toString()}`)) as Progress[]
      const failed = lines.find(line => line.error !== undefined)
      if (failed) throw new Error(`${options.name}: ${failed.error}`)
      return pulled(await inspect(engine, wanted), options, engine)
    },
    async emptyStore() {
      for (const id of await names()) await engine.call('DELETE', `/images/${id}?force=1`)
      if ((await names()).length > 0) throw new Error(`${options.name}: images are left`)
    },
    async kill() {
      // dockerd starts its containerd in a session of its own, where a signal to the group does not
      // reach it.
      const pidFile = join(directory, 'x/containerd/containerd.pid')
      await options.killable?.(join(directory, 'x/containerd/containerd.sock'))
      await Promise.all([daemon?.kill(), killProcess(Number(readFileSync(pidFile, 'utf8')))])
      // In a container without an init no one reaps it, and the next dockerd would wait for a dead
      // containerd.
      rmSync(pidFile, { force: true })
      daemon = undefined
    },
    async revive() {
      if (daemon === undefined) await up()
    },
    async stop() {
      await daemon?.stop()
      daemon = undefined
      if (trusted !== undefined) rmSync(trusted, { recursive: true, force: true })
    },
  }
}

interface Progress {
  readonly error?: string
}

async function inspect(engine: Engine, wanted: PullRequest): Promise<Inspected> {
  return (await engine.call('GET', `/images/${referenceOf(wanted)}/json`)) as Inspected
}

async function pulled(
  inspected: Inspected,
  options: DockerOptions,
  engine: Engine,
): Promise<Pulled> {
  const resolved = inspected.RepoDigests.map(name => name.split('@')[1] ?? '')
  return { resolved, holds: await options.holds(inspected, engine) }
}

function flags(directory: string): readonly string[] {
  return [
    ['--data-root', join(directory, 'data'), '--exec-root', join(directory, 'x')],
    ['--pidfile', join(directory, 'pid'), '-H', `unix://${join(directory, 's')}`],
    ['--config-file', join(directory, 'daemon.json')],
    // Nothing runs in a container here, and the host's network is not ours to change.
    ['--iptables=false', '--ip6tables=false', '--bridge=none'],
  ].flat()
}

function daemonConfig(edge: EdgeAddress): string {
  const mirror = `${edgeUrl(edge)}${edge.shape === 'path' ? '/docker.io' : ''}`
  return JSON.stringify({ 'registry-mirrors': [mirror] })
}

async function call(socketPath: string, method: string, path: string): Promise<unknown> {
  const outgoing = request({ socketPath, method, path, agent: false }).end()
  const [response] = (await once(outgoing, 'response')) as [NodeJS.ReadableStream & Status]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
  if ((response.statusCode ?? 0) >= 400) throw new Error(`${method} ${path}: ${text}`)
  if (!path.startsWith('/images/create')) return JSON.parse(text || 'null')
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(line => JSON.parse(line) as unknown)
}

interface Status {
  readonly statusCode?: number
}
