// Goal: real clients push and pull images that share layers while the edge evicts, collects and
// retains all the time: every pull has the right bytes, and every push that was acknowledged can be
// pulled. Method: a cache with room for half of what is pulled, jobs that begin again as soon as
// they have ended, and each client's rounds beside those of the others.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askSocket } from '../kit/clients/admin-socket.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import type { Image } from '../kit/image.ts'
import { daemonConfig } from './clients/containerd.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory, runCommand, startProcess } from './processes.ts'
import { DOCKER, startEngine } from './push/docker.ts'
import { containersIn } from './push/podman.ts'
import { readWhole } from './push/scene.ts'
import { goTool, packagedTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

const MIB = 1024 * 1024
const ROUNDS = 5
/** Of the images some are pushed as well, and some of these go again by themselves. */
const IMAGES = 12
const KEPT = 2
const JOBS = ['evict', 'gc', 'retain', 'cleanup'] as const

t.setTimeout(600_000)

const source = UPSTREAM_SERVERS['docker-registry 2.8']()
await source.start()
t.teardown(() => source.stop())
const images = Array.from({ length: IMAGES }, (_, n) =>
  layeredImage({
    seed: `leaves ${n}`,
    base: 'leaves',
    layerBytes: [MIB, 2 * MIB],
    mediaTypes: 'docker',
  }),
)
for (const [n, image] of images.entries())
  await push(source.url(), image, { name: 'library/shared', tag: `v${n}` })
const from = (n: number) => `${new URL(source.url()).host}/library/shared:v${n}`

const edge = await startEdge({
  directory: freshDirectory('edge'),
  upstreams: { 'docker.io': { url: source.url(), http: true } },
  config: {
    storage: {
      maxsize: '40MiB',
      lowwater: '70%',
      minfree: '0',
      gc: { delay: '10s', interval: '10s' },
      retention: {
        policies: [
          { repositories: ['localhost/ci/**'], keeptags: [{ mostrecentlypushedcount: 1 }] },
        ],
      },
    },
  },
})
t.teardown(() => edge.stop())
const target = new URL(edge.url).host

interface Client {
  readonly name: string
  /** @throws what the client printed, or what is wrong */
  pull(n: number): Promise<void>
  /** From the source. */
  push(n: number, name: string): Promise<void>
  stop?(): Promise<unknown>
}

function skopeo(): Client {
  const directory = freshDirectory('sk')
  const policy = join(directory, 'policy.json')
  writeFileSync(policy, '{"default":[{"type":"insecureAcceptAnything"}]}')
  const plain = ['--src-tls-verify=false', '--dest-tls-verify=false']
  const copy = (...args: string[]) =>
    runCommand(packagedTool('skopeo'), ['--policy', policy, 'copy', ...plain, ...args], {
      env: { REGISTRY_AUTH_FILE: join(directory, 'auth.json') },
    })
  let pulls = 0
  return {
    name: 'skopeo',
    async pull(n) {
      const pulled = join(directory, `pulled-${(pulls += 1)}`)
      await copy(
        '--src-tls-verify=false',
        `docker://${target}/library/shared:v${n}`,
        `dir:${pulled}`,
      )
      sameFiles(pulled, imageAt(n))
    },
    push: async (n, name) => {
      await copy(`docker://${from(n)}`, `docker://${target}/${name}:v1`)
    },
  }
}

/** Each file that it wrote is what its name says, and none is missing. */
function sameFiles(directory: string, image: Image): void {
  const manifest = readFileSync(join(directory, 'manifest.json'))
  if (!manifest.equals(image.manifest.bytes)) throw new Error('another manifest')
  const names = readdirSync(directory).filter(name => /^[0-9a-f]{64}$/.test(name))
  for (const name of names) {
    const hash = createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex')
    if (hash !== name) throw new Error(`${name} has other bytes`)
  }
  if (names.length !== image.layers.length + 1) throw new Error('something is missing')
}

function podman(): Client {
  const { podman: run, policy } = containersIn(freshDirectory('pm'))
  const insecure = ['--tls-verify=false', ...policy]
  return {
    name: 'podman',
    async pull(n) {
      const name = `${target}/library/shared:v${n}`
      await run('rmi', '--all', '--force')
      await run('pull', ...insecure, name)
      sameId(await run('image', 'inspect', '--format', '{{.Id}}', name), n)
    },
    async push(n, name) {
      await run('pull', ...insecure, from(n))
      await run('push', ...insecure, from(n), `${target}/${name}:v1`)
    },
  }
}

async function docker(): Promise<Client> {
  const engine = await startEngine(DOCKER)
  return {
    name: 'dockerd',
    async pull(n) {
      await engine.removeAll()
      await engine.pull(`${target}/library/shared:v${n}`)
      sameId((await engine.inspect(`${target}/library/shared:v${n}`)).Id, n)
    },
    async push(n, name) {
      await engine.pull(from(n))
      await engine.tag(from(n), `${target}/${name}`)
      await engine.push(`${target}/${name}`)
    },
    stop: () => engine.stop(),
  }
}

/** Engines hash what they unpack: the id is the configuration's digest. */
function sameId(id: string, n: number): void {
  const expected = imageAt(n).config.digest.replace('sha256:', '')
  if (id.trim().replace('sha256:', '') !== expected) throw new Error(`${id} is another image`)
}

async function containerd(): Promise<Client> {
  const directory = freshDirectory('cd')
  const socket = join(directory, 's')
  writeFileSync(join(directory, 'config.toml'), daemonConfig(directory, socket))
  const daemon = startProcess(goTool('containerd'), ['-c', join(directory, 'config.toml')])
  await daemon.line(line => line.includes('containerd successfully booted'))
  const run = (...args: string[]) => runCommand(goTool('ctr'), ['-a', socket, 'images', ...args])
  const pull = (name: string) => run('pull', '--plain-http', name)
  return {
    name: 'containerd',
    async pull(n) {
      const name = `${target}/library/shared:v${n}`
      await pull(name)
      if (!(await run('ls', `name==${name}`)).includes(imageAt(n).manifest.digest))
        throw new Error('another manifest')
      await run('rm', '--sync', name)
    },
    async push(n, name) {
      await pull(from(n))
      await run('tag', '--force', from(n), `${target}/${name}:v1`)
      await run('push', '--plain-http', `${target}/${name}:v1`)
    },
    stop: () => daemon.stop(),
  }
}

/** Pushes by crane and signs; what is verified is read back. */
async function cosign(): Promise<Client> {
  const directory = freshDirectory('cs')
  const run = (...args: string[]) =>
    runCommand(goTool('cosign'), args, { env: { COSIGN_PASSWORD: '' }, cwd: directory })
  const crane = (...args: string[]) => runCommand(goTool('crane'), [...args, '--insecure'])
  await run('generate-key-pair')
  const key = ['--key', 'cosign.key', '--use-signing-config=false', '--tlog-upload=false']
  const sign = ['sign', '--yes', '--allow-http-registry', ...key]
  const verify = ['verify', '--allow-http-registry', '--insecure-ignore-tlog=true']
  return {
    name: 'cosign',
    pull: async n => {
      await readWhole(target, 'library/shared', `v${n}`)
    },
    async push(n, name) {
      await crane('copy', from(n), `${target}/${name}:v1`)
      const signed = `${target}/${name}@${imageAt(n).manifest.digest}`
      await run(...sign, signed)
      await run(...verify, '--key', 'cosign.pub', signed)
    },
  }
}

function imageAt(n: number): Image {
  const image = images[n]
  if (image === undefined) throw new Error(`there is no image ${n}`)
  return image
}

/** Runs all of them one after the other, again and again, until `stop`. */
function keepRunningJobs() {
  let isStopped = false
  const counts = new Map<string, number>()
  const socket = join(edge.directory, 'admin.sock')
  const running = (async () => {
    while (!isStopped)
      for (const name of JOBS) {
        const path = `/api/v1/jobs/run?name=${name}`
        const { status, body } = await askSocket(socket, path, { method: 'POST' })
        if (status !== 200) throw new Error(`${name}: ${status} ${body}`)
        counts.set(name, (counts.get(name) ?? 0) + 1)
      }
  })()
  return {
    counts,
    stop: () => {
      isStopped = true
      return running
    },
  }
}

async function rounds(client: Client, offset: number): Promise<readonly string[]> {
  const faults: string[] = []
  const tried = async (what: string, work: () => Promise<unknown>) => {
    await work().catch((error: unknown) => faults.push(`${client.name}: ${what}: ${String(error)}`))
  }
  for (let round = 0; round < ROUNDS; round += 1) {
    const n = (round + offset) % IMAGES
    await tried(`pull of v${n}`, () => client.pull(n))
    const kept = `localhost/keep/${client.name}`
    await tried('push', () => client.push(round % KEPT, kept))
    await tried('what was pushed', () => readWhole(target, kept, 'v1'))
    const passing = `localhost/ci/${client.name}`
    await tried('push of what goes again', () => client.push(KEPT + (round % 2), passing))
    await tried('what was pushed last', () => readWhole(target, passing, 'v1'))
  }
  return faults
}

t.test('clients push and pull right bytes while content leaves all the time', async t => {
  const clients = [skopeo(), podman(), await docker(), await containerd(), await cosign()]
  t.teardown(async () => {
    for (const each of clients) await each.stop?.()
  })
  const jobs = keepRunningJobs()
  const faults = await Promise.all(clients.map((client, at) => rounds(client, at)))
  await jobs.stop()
  t.same(faults.flat(), [])
  for (const { name } of clients) {
    await readWhole(target, `localhost/keep/${name}`, 'v1')
    await readWhole(target, `localhost/ci/${name}`, 'v1')
  }
  t.comment(JSON.stringify([...jobs.counts]))
  for (const name of JOBS) t.ok((jobs.counts.get(name) ?? 0) >= ROUNDS, `${name} ran all the time`)
  const evicted = edge.logs.filter(({ msg }) => /evict/.test(msg ?? ''))
  t.ok(evicted.length > 0, 'and something left')
})
