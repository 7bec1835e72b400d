// One run of the simulation: draws who does what and when, ends the process or the power between
// any two calls, cuts the line, lets time pass; and looks after each step, and closely whenever
// nothing is under way, whether all that was promised still holds.
import { LOCALHOST, repositoryKey } from '../../../src/oci/reference.ts'
import { GRACE_MS } from '../../../src/registry/collect/collect.ts'
import { createRandom } from '../seeded.ts'
import { type ClientsOf, drawDeed, fillUpstream } from './clients.ts'
import { createWorld, type Edge, startEdge, type World, type WorldOptions } from './edge.ts'
import { BLOCK_BYTES } from '../../../src/registry/ports/blob-store.ts'
import type { MemoryDisk } from '../memory/disk.ts'
import { IMAGES, LARGEST_BYTES } from './images.ts'
import { OperatorJudge } from './operator.ts'
import { AcknowledgedRecord, Broken } from './record.ts'
import { Schedule } from './schedule.ts'
import { WHOLE } from './space.ts'

export interface SimulationOptions extends WorldOptions {
  readonly seed: number
  readonly steps: number
}

export interface Simulated {
  readonly steps: number
  readonly deeds: number
  readonly crashes: number
  readonly looks: number
  /** Taken at any moment. 0 where there is no limit. */
  readonly mostBytes: number
  /** Files that were removed. */
  readonly removed: number
  /** What was broken, with the end of the trace. Undefined: nothing. */
  readonly broken: string | undefined
  /** The last of what happened. */
  readonly trace: readonly string[]
}

/** Clients at once. */
const CLIENTS = 8
/** Of steps, about one in so many. */
const BEGIN_IN = 8
const SECONDS_IN = 200
const MINUTES_IN = 5_000
const CRASH_IN = 1_500
const LOOK_IN = 1_500
const LINE_IN = 2_000
const HOT_IN = 300
/** Nothing takes longer to come to rest. */
const REST_STEPS_MAX = 50_000
const ROWS = 1_000
const DAY_MS = 25 * 60 * 60_000

export async function simulate(options: SimulationOptions): Promise<Simulated> {
  const simulation = new Simulation(options)
  await simulation.run()
  return simulation.result
}

class Simulation {
  readonly #options: SimulationOptions
  readonly #schedule: Schedule
  readonly #world: World
  readonly #record = new AcknowledgedRecord()
  readonly #operator = new OperatorJudge(this.#record)
  #edge: Edge
  #active = new Set<string>()
  #broken: unknown
  #deeds = 0
  #crashes = 0
  #looks = 0
  #mostBytes = 0

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#schedule = new Schedule(createRandom(options.seed))
    this.#world = createWorld(this.#schedule, options)
    fillUpstream(this.#world)
    this.#edge = startEdge(this.#world)
  }

  get result(): Simulated {
    const { steps, trace } = this.#schedule
    const told = (error: unknown) =>
      [
        `seed ${this.#options.seed}, step ${steps}: ${error instanceof Broken ? error.message : (error as Error).stack}`,
        ...trace,
      ].join('\n')
    return {
      steps,
      deeds: this.#deeds,
      crashes: this.#crashes,
      looks: this.#looks,
      mostBytes: this.#mostBytes,
      removed: this.#schedule.callsOf('store.remove'),
      broken: this.#broken === undefined ? undefined : told(this.#broken),
      trace,
    }
  }

  async run(): Promise<void> {
    try {
      while (this.#schedule.steps < this.#options.steps && this.#broken === undefined)
        await this.#step()
      if (this.#broken === undefined) await this.#look()
    } catch (error) {
      this.#broken ??= error
    }
    this.#schedule.end(this.#edge.process)
  }

  async #step(): Promise<void> {
    const { random } = this.#schedule
    if (this.#active.size < CLIENTS && random.oneIn(BEGIN_IN)) this.#begin()
    if (random.oneIn(SECONDS_IN)) this.#schedule.advance(random.below(2_000))
    if (random.oneIn(MINUTES_IN)) this.#schedule.advance(random.below(30 * 60_000))
    if (random.oneIn(LINE_IN)) this.#turnLine()
    if (random.oneIn(HOT_IN)) this.#world.hot = random.below(IMAGES.length)
    if (random.oneIn(CRASH_IN)) this.#crash()
    if (random.oneIn(LOOK_IN)) await this.#look()
    await this.#goOn()
    this.#compareTaken()
  }

  /**
   * Above the limit by one blob at most, at any moment; and here, where blocks are as large as
   * blobs, by a block for each manifest, which is written without being asked about, and for each
   * file that grows, or did a moment ago, which is promised room in bytes: also one that a client
   * began before a crash.
   */
  #compareTaken(): void {
    const { disk, options } = this.#world
    const { limitBytes } = options
    if (limitBytes === undefined) return
    const takenBytes = takenOf(disk)
    this.#mostBytes = Math.max(this.#mostBytes, takenBytes)
    const manifests = IMAGES.filter(({ manifest }) => disk.blobs.has(manifest.digest))
    const grown = CLIENTS + disk.parts.size + disk.uploads.size
    const allowedBytes = inBlocks(LARGEST_BYTES) + (manifests.length + grown) * BLOCK_BYTES
    if (takenBytes > limitBytes + allowedBytes)
      throw new Broken(`${takenBytes} bytes are taken, of ${limitBytes}`)
  }

  /** One step, or as much time as passes until there is one. */
  async #goOn(): Promise<void> {
    if (await this.#schedule.step()) return
    if (this.#active.size === 0) return this.#begin()
    if (!this.#schedule.passTime()) throw new Broken(`never ends: ${[...this.#active].join(', ')}`)
  }

  #begin(): void {
    const deed = drawDeed(this.#world)
    const name = `${(this.#deeds += 1)} ${deed.name}`
    const active = this.#active
    active.add(name)
    const clients: ClientsOf = { world: this.#world, edge: this.#edge, record: this.#record }
    this.#schedule
      .as(name, () => deed.run(clients))
      .catch((error: unknown) => {
        this.#broken ??= error
      })
      .finally(() => active.delete(name))
  }

  #turnLine(): void {
    const { line } = this.#world
    if (line.isDown) line.cutStep = this.#schedule.steps
    line.isDown = !line.isDown && this.#schedule.random.oneIn(3)
    this.#schedule.note(line.isDown ? 'the line is down' : 'the line is up')
  }

  #crash(): void {
    this.#crashes += 1
    const isPowerCut = this.#schedule.random.oneIn(2)
    this.#schedule.note(isPowerCut ? 'the power is cut' : 'the process ends')
    this.#schedule.end(this.#edge.process)
    if (isPowerCut) this.#world.power.cut(this.#schedule.random)
    this.#active = new Set()
    this.#record.crashed()
    this.#edge = startEdge(this.#world)
  }

  /** Until nothing is under way: then what is on disk, and what was promised. */
  async #look(): Promise<void> {
    this.#looks += 1
    this.#schedule.note('all come to rest')
    if (this.#world.line.isDown) this.#turnLine()
    const until = this.#schedule.steps + REST_STEPS_MAX
    for (;;) {
      if (this.#broken !== undefined) return
      if (await this.#schedule.step()) {
        if (this.#schedule.steps > until) throw new Broken('never comes to rest')
        continue
      }
      if (this.#active.size === 0 && this.#edge.stock.isTaken) break
      if (!this.#schedule.passTime())
        throw new Broken(`never ends: ${[...this.#active].join(', ')}`)
    }
    await this.#compareFiles()
    await this.#compareHeld()
    if (this.#options.isOperated === true)
      await this.#operator.look(this.#edge, this.#world, work => this.#finish(work))
    if (this.#schedule.random.oneIn(3)) await this.#compareFollowers()
    // Pushes that never ended are over by then.
    if (this.#schedule.random.oneIn(2)) this.#schedule.advance(DAY_MS)
  }

  /** With nothing else under way. */
  async #finish(work: Promise<unknown>): Promise<void> {
    const over = work.then(
      () => true,
      () => true,
    )
    const isOver = () => Promise.race([over, Promise.resolve(false)])
    while (!(await isOver()))
      if (!(await this.#schedule.step()) && !(await isOver()) && !this.#schedule.passTime())
        throw new Broken('a job never ends')
  }

  /** After their grace and one pass nothing is left of those that nothing reaches. */
  async #compareFollowers(): Promise<void> {
    this.#schedule.advance(GRACE_MS + 1)
    await this.#finish(this.#edge.registry.collect(WHOLE))
    const beforeMs = this.#schedule.nowMs - GRACE_MS
    // Elsewhere something may wait to be delivered, or be pinned.
    for (const each of await this.#world.catalog.listFollowers({ beforeMs, limit: ROWS }))
      if (each.repository.registry === LOCALHOST)
        throw new Broken(
          `${repositoryKey(each.repository)}@${each.digest} follows what is gone, and stays`,
        )
  }

  async #compareFiles(): Promise<void> {
    const { catalog, disk, power } = this.#world
    const rows = await catalog.listContent({ limit: ROWS })
    const leaving = await catalog.listLeaving({ limit: ROWS })
    const counted = new Set([...rows, ...leaving].map(({ digest }) => digest))
    for (const digest of disk.blobs.keys())
      if (!counted.has(digest)) throw new Broken(`nobody counts the file of ${digest}`)
    for (const { digest, contentClass } of rows) {
      // Until it is asked for: what is cached an upstream has as well.
      if (contentClass === 'cached' && power.hasVanished(digest)) continue
      if (!disk.blobs.has(digest)) throw new Broken(`${digest} is recorded, and has no file`)
    }
  }

  async #compareHeld(): Promise<void> {
    const { catalog, disk } = this.#world
    for (const held of this.#record.allHeld) {
      const { repository, image } = held
      const { digest } = image.manifest
      if (repository.registry !== 'localhost') continue
      for (const each of [digest, ...image.layers.map(layer => layer.digest)]) {
        if (!this.#record.holdsBlob(held, each)) continue
        const content = await catalog.findContent(each)
        if (content?.contentClass !== 'kept' || !disk.blobs.has(each))
          throw new Broken(
            `${each} of ${repositoryKey(repository)}@${digest} is ${content?.contentClass ?? 'not here'}, not kept`,
          )
      }
    }
  }
}

function takenOf({ blobs, parts, uploads }: MemoryDisk): number {
  const growing = [...parts.values(), ...uploads.values()].map(({ bytes }) => bytes)
  return [...blobs.values(), ...growing].reduce((sum, { length }) => sum + inBlocks(length), 0)
}

function inBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}
