// Who goes on next is drawn from a seed: every call through a port waits here until it is its turn,
// and so does its answer at times. With a clock that moves when all wait for it, a run is the same
// for the same seed, whatever the event loop does. Processes end between any two calls: what waits
// then has no effect and never answers.
import { AsyncLocalStorage } from 'node:async_hooks'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock } from '../../../src/registry/ports/clock.ts'
import type { Random } from '../seeded.ts'

/** A process that runs; what it was doing when it ended goes no further. */
export interface Process {
  isOver: boolean
}

export interface PortRules {
  /** Stands in the trace before the method. */
  readonly name: string
  readonly process: Process
  /** Called at once, and answering at once. */
  readonly atOnce?: readonly string[]
  /** One after the other in the order of their calls, as one thread takes them. */
  readonly inOrder?: (method: string) => boolean
}

interface Waiting {
  readonly process: Process
  /** Only the first that waits in a lane may go. */
  readonly lane: object | undefined
  /** Not before, unless nobody else could go on. */
  readonly fromStep: number
  readonly go: () => void
}

interface Sleeping {
  readonly process: Process | undefined
  readonly dueMs: number
  readonly wake: () => void
}

/** A line of the trace; told in words only when somebody reads it. */
interface Traced {
  readonly step: number
  /** Who did it. */
  readonly by: string | undefined
  readonly line: string
  readonly args: readonly unknown[] | undefined
}

/** Lines of the trace: what led to a broken invariant is among the last ones. */
const TRACED = 160
/** Of answers that may, so many wait as well: one in. */
const ANSWER_WAITS = 3
/** Some calls take so long that others begin and end meanwhile: one in so many, for so long. */
const HELD_IN = 12
const HELD_STEPS = 250
/** What is downloaded has its deadline after this. */
const LONG_MS = 15 * 60_000
/** Of the event loop: a purge lets others have theirs before each thing that it holds back. */
const IDLE_TURNS = 40

export class Schedule {
  readonly random: Random
  readonly #startMs = Date.UTC(2026, 0, 1)
  readonly #doing = new AsyncLocalStorage<string>()
  readonly #trace: Traced[] = []
  readonly #calls = new Map<string, number>()
  #waiting: Waiting[] = []
  #sleeping: Sleeping[] = []
  #elapsedMs = 0
  #steps = 0
  #longStep = Number.NEGATIVE_INFINITY

  constructor(random: Random) {
    this.random = random
  }

  get steps(): number {
    return this.#steps
  }

  get nowMs(): number {
    return this.#startMs + this.#elapsedMs
  }

  /** When so much time passed at once last that downloads under way are given up. */
  get longStep(): number {
    return this.#longStep
  }

  /** How often this was called: `store.remove`. */
  callsOf(line: string): number {
    return this.#calls.get(line) ?? 0
  }

  /** The last of what happened, oldest first. */
  get trace(): readonly string[] {
    return this.#trace.slice(-TRACED).map(({ step, by, line, args }) => {
      const what = args === undefined ? line : `${line} ${shortly(args)}`
      return by === undefined ? `${step} ${what}` : `${step} [${by}] ${what}`
    })
  }

  /** Without a process: of whoever is outside, and goes on. */
  clockOf(process?: Process): Clock {
    return {
      nowMs: () => this.nowMs,
      monotonicMs: () => this.#elapsedMs,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason)
          const wake = () => {
            signal?.removeEventListener('abort', onAbort)
            resolve()
          }
          const sleeping = { process, dueMs: this.#elapsedMs + Math.max(0, ms), wake }
          const onAbort = () => {
            this.#sleeping = this.#sleeping.filter(each => each !== sleeping)
            reject(signal?.reason)
          }
          signal?.addEventListener('abort', onAbort, { once: true })
          this.#sleeping.push(sleeping)
        }),
    }
  }

  /** What `work` asks of ports stands in the trace as its. */
  as<Value>(name: string, work: () => Promise<Value>): Promise<Value> {
    return this.#doing.run(name, work)
  }

  note(line: string): void {
    this.#traced({ step: this.#steps, by: this.#doing.getStore(), line, args: undefined })
  }

  /** `port` as the process has it: each call waits for its turn. */
  port<Port extends object>(port: Port, rules: PortRules): Port {
    const calls = {}
    const answers = {}
    return new Proxy(port, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target)
        const method = String(property)
        if (typeof value !== 'function') return value
        const call = (...args: readonly unknown[]): unknown => Reflect.apply(value, target, args)
        if (rules.atOnce?.includes(method) === true) return call
        const isInOrder = rules.inOrder?.(method) === true
        return async (...args: readonly unknown[]) => {
          const line = `${rules.name}.${method}`
          await this.#turn(rules, { line, args }, isInOrder ? calls : undefined)
          this.#calls.set(line, this.callsOf(line) + 1)
          const answered = Promise.resolve(call(...args))
          // Whoever waits for it hears of it later: that is no failure of its own.
          answered.catch(() => {})
          if (isInOrder || this.random.oneIn(ANSWER_WAITS)) {
            await answered.catch(() => {})
            const answering = { line: `answer of ${line}`, args }
            await this.#turn(rules, answering, isInOrder ? answers : undefined)
          }
          const answer = await answered
          return isFile(answer)
            ? this.port(answer, { ...rules, name: 'file', ...FILE_RULES })
            : answer
        }
      },
    })
  }

  /** Nothing of the process happens any more. */
  end(process: Process): void {
    process.isOver = true
    this.#waiting = this.#waiting.filter(each => each.process !== process)
    this.#sleeping = this.#sleeping.filter(each => each.process !== process)
  }

  /** Lets one go on that waits, and all that follows from it. False: nobody waits. */
  async step(): Promise<boolean> {
    const ready = this.#ready()
    if (ready.length === 0) {
      // Some code waits for the event loop and not for a port.
      for (let turn = 0; turn < IDLE_TURNS && this.#waiting.length === 0; turn += 1)
        await nextTurn()
      return this.#waiting.length > 0
    }
    const next = ready[this.random.below(ready.length)] as Waiting
    this.#waiting.splice(this.#waiting.indexOf(next), 1)
    this.#steps += 1
    next.go()
    await nextTurn()
    return true
  }

  /** To when the next sleeper is due. False: nobody sleeps. */
  passTime(): boolean {
    const [first] = this.#sleeping.toSorted((a, b) => a.dueMs - b.dueMs)
    if (first === undefined) return false
    this.advance(Math.max(0, first.dueMs - this.#elapsedMs))
    return true
  }

  advance(ms: number): void {
    if (ms >= LONG_MS) this.#longStep = this.#steps
    this.#elapsedMs += ms
    const due = this.#sleeping.filter(({ dueMs }) => dueMs <= this.#elapsedMs)
    if (due.length === 0) return
    this.#sleeping = this.#sleeping.filter(({ dueMs }) => dueMs > this.#elapsedMs)
    for (const { wake } of due.sort((a, b) => a.dueMs - b.dueMs)) wake()
  }

  #ready(): Waiting[] {
    const lanes = new Set<object>()
    const first = this.#waiting.filter(({ lane }) => {
      if (lane === undefined) return true
      if (lanes.has(lane)) return false
      lanes.add(lane)
      return true
    })
    const due = first.filter(({ fromStep }) => fromStep <= this.#steps)
    return due.length > 0 ? due : first
  }

  #turn({ process }: PortRules, call: Pick<Traced, 'line' | 'args'>, lane: object | undefined) {
    if (process.isOver) return new Promise<void>(() => {})
    const by = this.#doing.getStore()
    return new Promise<void>(resolve => {
      const go = () => {
        this.#traced({ step: this.#steps, by, ...call })
        resolve()
      }
      const heldSteps = this.random.oneIn(HELD_IN) ? this.random.below(HELD_STEPS) : 0
      this.#waiting.push({ process, lane, fromStep: this.#steps + heldSteps, go })
    })
  }

  #traced(traced: Traced): void {
    this.#trace.push(traced)
    if (this.#trace.length > 2 * TRACED) this.#trace.splice(0, TRACED)
  }
}

/** Of fills and uploads, what is no change on disk. */
const FILE_RULES = {
  atOnce: ['append', 'flush', 'verify', 'openRead', 'writeAhead', 'forgetAhead'],
}

/** One that grows: a fill's or an upload's. */
function isFile(value: unknown): value is object {
  return typeof value === 'object' && value !== null && 'commit' in value
}

/** Digests by their first digits, and no more of anything than is told apart by. */
function shortly(args: readonly unknown[]): string {
  const text = JSON.stringify(args, (_name, value: unknown) =>
    value instanceof Uint8Array ? `${value.length} bytes` : value,
  )
  return (text ?? '').replaceAll(/sha256:([0-9a-f]{6})[0-9a-f]{58}/g, '$1').slice(0, 160)
}
