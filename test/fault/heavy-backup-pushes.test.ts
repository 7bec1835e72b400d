// Goal: every push that was acknowledged before a backup began comes back from it byte for byte,
// while clients go on pushing and deleting and content leaves for want of room (R850). Method: an
// edge as a process with eight clients and one that pulls more than there is room for; the commands
// as processes; the data directory destroyed, and brought back as an operator would. SEED of the
// environment is another order of deeds. What was pushed behind the backup has to be missing, and
// what somebody copies by hand meanwhile has to be found short: else nothing was seen.
import { cpSync, rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { runCli } from '../kit/cli.ts'
import { pullImage } from '../kit/clients/herd.ts'
import { pulledFrom, pushTo, type Sender } from '../kit/clients/pushed-images.ts'
import { type Image, makeImage } from '../kit/image.ts'
import { judge } from '../kit/judges/oracle.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { runProcess } from '../kit/worlds/command-process.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'

const MIB = 1024 * 1024
const CLIENTS = 8
/** What is pushed fits beside some of what is pulled. */
const STORAGE = { maxsize: `${96 * MIB}`, minfree: '0' }
const PULLED_BYTES = 4 * MIB
/** Of each client, before the first backup. */
const PUSHED_FIRST = 4
const BACKUPS = 3
const EVICTED = 'content was evicted'

t.setTimeout(300_000)

interface Pushed {
  readonly repository: string
  readonly tag: string
  readonly image: Image
  /** Somebody began to delete it. */
  isLeaving: boolean
}

/** One sentence for each that is not what was acknowledged. */
async function lostOf(edge: Sender, pushed: readonly Pushed[]): Promise<readonly string[]> {
  const lost: string[] = []
  for (const { repository, tag, image } of pushed) {
    const state = await pulledFrom(edge, repository, image, tag)
    if (state !== 'whole') lost.push(`${repository}:${tag} is ${state}`)
  }
  return lost
}

/** Pushes one image after the other, and now and then deletes an older one. */
class Client {
  readonly acknowledged: Pushed[] = []
  readonly repository: string
  readonly #edge: Sender
  readonly #seed: string
  readonly #random

  constructor(edge: Sender, { seed, number }: { readonly seed: number; readonly number: number }) {
    this.#edge = edge
    this.#seed = `${seed} ${number}`
    this.#random = createRandom(seed * CLIENTS + number)
    this.repository = `localhost/team/c${number}`
  }

  async push(): Promise<Pushed> {
    const { repository } = this
    const tag = `v${this.acknowledged.length}`
    const layers = [this.#random.between(1, 60_000), this.#random.between(1, 3_000)]
    const image = makeImage({ seed: `${this.#seed} ${tag}`, layers })
    await pushTo(this.#edge, repository, image, tag)
    const pushed = { repository, tag, image, isLeaving: false }
    this.acknowledged.push(pushed)
    const headers = { 'content-type': image.manifest.mediaType }
    const body = image.manifest.bytes
    await this.#edge.send('PUT', `/v2/${repository}/manifests/latest`, { headers, body })
    return pushed
  }

  /** Not what `latest` leads to. */
  async delete(): Promise<void> {
    const one = this.acknowledged[this.#random.below(Math.max(1, this.acknowledged.length - 2))]
    if (one === undefined || one.isLeaving) return
    one.isLeaving = true
    const { digest } = one.image.manifest
    await this.#edge.send('DELETE', `/v2/${this.repository}/manifests/${digest}`)
  }

  async untilOver(how: { isOver(): boolean; mayDelete(): boolean }): Promise<void> {
    while (!how.isOver()) {
      await this.push()
      if (how.mayDelete() && this.#random.oneIn(3)) await this.delete()
    }
  }
}

/** Of which `latest` is one that was pushed no earlier than these. */
async function movedBack(edge: Sender, clients: readonly Client[], before: readonly Pushed[]) {
  const wrong: string[] = []
  for (const { repository, acknowledged } of clients) {
    const last = before.findLast(each => each.repository === repository)
    const from = last === undefined ? 0 : acknowledged.indexOf(last)
    const answer = await edge.send('GET', `/v2/${repository}/manifests/latest`)
    const isOne = acknowledged
      .slice(from)
      .some(each => answer.body.equals(each.image.manifest.bytes))
    if (!isOne) wrong.push(`${repository}:latest is none of v${from} and later`)
  }
  return wrong
}

async function open(t: Test) {
  const stub = await startStub(t)
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-backup-'))
  const upstreams = { 'docker.io': { url: stub.url, http: true } }
  const edge = await startEdge({ directory, upstreams, config: { storage: STORAGE } })
  t.teardown(async () => {
    if (edge.alive) await edge.kill()
    await rm(directory, { recursive: true, force: true })
  })
  const run = (...argv: string[]) => runProcess([...argv, '--config', edge.configFile])
  const socket = join(directory, 'admin.sock')
  const ask = async (...argv: string[]) => {
    return (await runCli(['jobs', ...argv, '--socket', socket])).stdout
  }
  const evictions = () => edge.logs.filter(({ msg }) => msg === EVICTED).length
  return { stub, edge, run, ask, evictions, target: join(directory, 'target') }
}

/** More than there is room for, until it is over. */
async function pullOn({ stub, edge }: Awaited<ReturnType<typeof open>>, isOver: () => boolean) {
  const faults: string[] = []
  for (let n = 0; !isOver(); n += 1) {
    const image = makeImage({ seed: `pulled ${n}`, layers: [PULLED_BYTES] })
    stub.addImage('library/pulled', `v${n}`, image)
    const base = `${edge.url}/v2/library/pulled`
    faults.push(...(await pullImage(base, { tag: `v${n}`, image, hash: true, atOnce: 2 })))
  }
  return faults
}

t.test('R850: a backup while eight clients push and content leaves has all of before', async t => {
  const seed = seedOf(process.env)
  t.comment(`SEED=${seed}`)
  const world = await open(t)
  const { stub, edge, run, ask, evictions, target } = world
  const clients = Array.from({ length: CLIENTS }, (_, number) => new Client(edge, { seed, number }))
  for (let n = 0; n < PUSHED_FIRST; n += 1) await Promise.all(clients.map(each => each.push()))
  let isOver = false
  const pulling = pullOn(world, () => isOver)
  let mayDelete = true
  const how = { isOver: () => isOver, mayDelete: () => mayDelete }
  const pushing = Promise.all(clients.map(each => each.untilOver(how)))
  await edge.untilLogged(({ msg }) => msg === EVICTED)
  let before: readonly Pushed[] = []
  let evicted = 0
  for (let n = 0; n < BACKUPS; n += 1) {
    mayDelete = false
    before = clients.flatMap(({ acknowledged }) => acknowledged.filter(each => !each.isLeaving))
    evicted = evictions()
    // Stands still once it has begun: what is deleted by then may be gone, and nothing later.
    await ask('pause', 'backup')
    const running = run('backup', target)
    while (!/^backup +paused, runs since/m.test(await ask('ls'))) await setImmediate()
    mayDelete = true
    await Promise.all(clients.map(each => each.delete()))
    await ask('resume', 'backup')
    const { exitCode, stderr } = await running
    t.equal(exitCode, 0, stderr)
  }
  evicted = evictions() - evicted
  const deleted = before.filter(each => each.isLeaving).length
  isOver = true
  await pushing
  t.same(await pulling, [], 'and whoever pulled was served')
  const behind = await Promise.all(clients.map(each => each.push()))
  t.same(await lostOf(edge, behind), [], 'all of them were taken')
  await edge.kill()
  rmSync(edge.dataDirectory, { recursive: true })
  await stub.stop()
  t.match(await run('restore', target), { exitCode: 0 })
  await edge.restart()
  t.same(await lostOf(edge, before), [])
  t.same(await movedBack(edge, clients, before), [])
  t.same((await judge(edge.dataDirectory)).wrong, [])
  const later = await lostOf(edge, behind)
  t.equal(later.length, CLIENTS, 'what was pushed behind the backup is not in it')
  t.comment(
    `${before.length} pushes before the last backup; during it ${deleted} of them were deleted, and content was evicted ${evicted} times`,
  )
  t.ok(deleted > 0 && evicted > 0, 'there was something that it had to hold')
})

t.test(
  'negative control: a file of the catalog and blobs, copied meanwhile, lack pushes',
  async t => {
    const { edge } = await open(t)
    const client = new Client(edge, { seed: 1, number: 0 })
    const before = [await client.push(), await client.push()]
    const copy = join(edge.directory, 'copy')
    await mkdir(copy)
    const take = (name: string) =>
      cpSync(join(edge.dataDirectory, name), join(copy, name), { recursive: true })
    take('catalog.db')
    take('blobs')
    await edge.kill()
    const other = await startEdge({ dataDirectory: copy })
    t.teardown(() => other.stop())
    const lost = await lostOf(other, before)
    t.ok(lost.length > 0, lost.join('; '))
  },
)
