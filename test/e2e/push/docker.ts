// docker push, by both daemons that people run: the graph driver of older sites and the containerd
// store of today. The API is used rather than the command, because a packaged command is too old
// for a current daemon.
import { request } from 'node:http'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { layeredImage } from '../images.ts'
import { freshDirectory, startProcess } from '../processes.ts'
import { GO_TOOLS_DIRECTORY, goTool, packagedTool } from '../tools.ts'
import { publish, readWhole, type Scenario } from './scene.ts'

/**
 * Between two looks for the daemon's socket; it says nothing that could be waited for in both
 * versions.
 */
const LOOK_AGAIN_MS = 100

export interface Daemon {
  readonly name: string
  readonly program: string
  readonly pathFirst: readonly string[]
}

export const DOCKER: Daemon = {
  name: 'dockerd 20.10',
  program: packagedTool('dockerd'),
  pathFirst: [],
}
export const DOCKER_ON_CONTAINERD: Daemon = {
  name: 'dockerd on containerd',
  program: goTool('dockerd'),
  pathFirst: [GO_TOOLS_DIRECTORY],
}

export const dockerPushes: Scenario = dockerScenario(DOCKER)
export const dockerContainerdPushes: Scenario = dockerScenario(DOCKER_ON_CONTAINERD)

function dockerScenario(daemon: Daemon): Scenario {
  return {
    name: daemon.name,
    async run(t, scene) {
      const { target } = scene
      const slug = daemon.name.replaceAll(/[^a-z0-9]+/g, '-')
      const engine = await startEngine(daemon)
      t.teardown(() => engine.stop())
      const image = layeredImage({ seed: slug, layerBytes: [30_000, 40_000], mediaTypes: 'docker' })
      const source = await publish(scene, image, { name: `src/${slug}`, tag: 'v1' })
      await engine.pull(source)
      const { Id: id } = await engine.inspect(source)

      const first = `${target}/localhost/${slug}/one`
      await engine.tag(source, first)
      await engine.push(first)
      const pushed = await readWhole(target, `localhost/${slug}/one`, 'v1')
      t.ok(pushed.digests.has(image.config.digest), 'push: the config, every blob right')

      const second = `${target}/localhost/${slug}/two`
      await engine.tag(source, second)
      await engine.push(second)
      await readWhole(target, `localhost/${slug}/two`, 'v1')
      await scene.mounted(`localhost/${slug}/two`, image.layers.length)
      t.pass('its layers were mounted')

      await engine.tag(source, `${target}/${slug}`)
      await engine.push(`${target}/${slug}`)
      await readWhole(target, slug, 'v1')
      t.pass('push: a name of one component')

      await engine.removeAll()
      await engine.pull(`${first}:v1`)
      t.equal((await engine.inspect(`${first}:v1`)).Id, id, 'pulled back: the same image')
    },
  }
}

export interface EngineOptions {
  /** URL of Docker Hub's mirror. */
  readonly mirror?: string
}

/** As `docker login` leaves it for a registry, which the command then sends with each pull. */
export interface EngineLogin {
  readonly username: string
  readonly password: string
  readonly serveraddress: string
}

/** What it leaves instead where the registry gave it a token to keep. */
interface KeptToken {
  readonly identitytoken: string
  readonly serveraddress: string
}

type ShownLogin = EngineLogin | KeptToken | Record<string, never>

const NO_LOGIN: ShownLogin = {}

export async function startEngine(
  { name, program, pathFirst }: Daemon,
  { mirror }: EngineOptions = {},
) {
  const directory = freshDirectory('dk')
  const socket = join(directory, 's')
  let login = NO_LOGIN
  const call = (method: string, path: string) => callEngine(socket, { method, path, login })
  const config = mirror === undefined ? {} : { 'registry-mirrors': [mirror] }
  writeFileSync(join(directory, 'daemon.json'), JSON.stringify(config))
  const args = [
    ['--data-root', join(directory, 'data'), '--exec-root', join(directory, 'x')],
    ['--pidfile', join(directory, 'pid'), '-H', `unix://${socket}`],
    ['--config-file', join(directory, 'daemon.json')],
    ['--iptables=false', '--ip6tables=false', '--bridge=none'],
  ].flat()
  const path = [...pathFirst, '/usr/sbin:/usr/bin:/sbin:/bin'].join(':')
  const daemon = startProcess(program, args, { cwd: directory, env: { PATH: path } })
  await daemon.line(line => line.includes('API listen on'))
  while (!existsSync(socket)) await wait(LOOK_AGAIN_MS)
  const stream = async (path: string) => {
    const lines = (await call('POST', path))
      .split('\n')
      .filter(line => line.trim() !== '')
      .map(line => JSON.parse(line) as { error?: string })
    const failed = lines.find(line => line.error !== undefined)
    if (failed) throw new Error(`${name}: ${path}: ${failed.error}`)
  }
  return {
    /** What the command shows from now on; whether it is right nobody asks. Default: nothing. */
    useLogin(next: EngineLogin | undefined) {
      login = next ?? NO_LOGIN
    },
    /**
     * `docker login`. @returns whether a token is kept, and no password. @throws where it is
     * refused
     */
    async login(next: EngineLogin): Promise<boolean> {
      const body = JSON.stringify(next)
      const answer = await callEngine(socket, { method: 'POST', path: '/auth', login, body })
      const { IdentityToken: identitytoken = '' } = JSON.parse(answer) as { IdentityToken?: string }
      const { serveraddress } = next
      login = identitytoken === '' ? next : { identitytoken, serveraddress }
      return identitytoken !== ''
    },
    async pull(image: string) {
      const [repository = '', tag = ''] = splitTag(image)
      await stream(
        `/images/create?${new URLSearchParams({ fromImage: repository, tag }).toString()}`,
      )
    },
    async inspect(image: string) {
      return JSON.parse(await call('GET', `/images/${image}/json`)) as { readonly Id: string }
    },
    async tag(image: string, repository: string) {
      const query = new URLSearchParams({ repo: repository, tag: 'v1' })
      await call('POST', `/images/${image}/tag?${query.toString()}`)
    },
    push: (repository: string) => stream(`/images/${repository}/push?tag=v1`),
    async removeAll() {
      const images = JSON.parse(await call('GET', '/images/json')) as { readonly Id: string }[]
      for (const { Id } of images) await call('DELETE', `/images/${Id}?force=1`)
    },
    stop: () => daemon.stop(),
  }
}

function splitTag(image: string): readonly string[] {
  const colon = image.lastIndexOf(':')
  return [image.slice(0, colon), image.slice(colon + 1)]
}

interface Call {
  readonly method: string
  readonly path: string
  readonly login: ShownLogin
  /** JSON. */
  readonly body?: string
}

/** As the daemon reads it: what has no padding it takes for nothing, without a word. */
function paddedBase64Url(text: string): string {
  return Buffer.from(text).toString('base64').replaceAll('+', '-').replaceAll('/', '_')
}

async function callEngine(
  socketPath: string,
  { method, path, login, body = '' }: Call,
): Promise<string> {
  const headers = {
    'X-Registry-Auth': paddedBase64Url(JSON.stringify(login)),
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
  }
  const outgoing = request({ socketPath, method, path, headers, agent: false }).end(body)
  const [response] = (await once(outgoing, 'response')) as [
    NodeJS.ReadableStream & { readonly statusCode?: number },
  ]
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
  if ((response.statusCode ?? 0) >= 400) throw new Error(`${method} ${path}: ${text}`)
  return text
}
