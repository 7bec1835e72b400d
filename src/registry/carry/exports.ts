// Exports under way: each is begun, is given its images, is planned, and is then read. It lasts as
// long as whoever began it stays, and what it has gathered does not leave meanwhile.
import { randomBytes } from 'node:crypto'
import { type BundleSigner, statementOf } from '../../bundle/bundle-key.ts'
import type { SignedSums } from '../../bundle/sums.ts'
import { Standstill } from '../../async/standstill.ts'
import { parseDigest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { OperatorDeps } from '../operator/operator-deps.ts'
import { namesMatching } from '../operator/list-images.ts'
import { BundleBytes } from './bundle-bytes.ts'
import type {
  AddEvent,
  ExportEvent,
  ListedExports,
  LookedAgain,
  PlannedExport,
} from './export-answers.ts'
import { type FetchEvent, fetchBlobs } from './fetch-blobs.ts'
import { type GatherDeps, gatherImage, type Gathering } from './gather.ts'
import type { Held } from './held.ts'
import { isRotten } from './is-rotten.ts'
import { messageOf } from './message-of.ts'
import { ExportPlan } from './plan.ts'

/** Each has a plan in memory, and reads the disk as fast as it can. */
const EXPORTS_MAX = 4
const ID_BYTES = 12
/** In one piece: some 70 KiB. */
const LINES_AT_ONCE = 1_000
/** As in ls, readTypedSelector and configurations. */
const GLOB = /[*?[\]{}()!+|]/

export interface ExportsDeps extends GatherDeps, Pick<OperatorDeps, 'clock'> {
  readonly held: Held
  /** @throws RegistryError where the key cannot be had */
  readonly signer: () => BundleSigner
  /** Told when what was held may leave again. */
  readonly released: () => void
}

interface Export {
  readonly plan: ExportPlan
  readonly sinceMs: number
  doneBytes: number
  bundle?: BundleBytes
  readonly ended: AbortController
  broken(message: string): void
}

export class Exports {
  readonly #deps: ExportsDeps
  readonly #running = new Map<string, Export>()
  readonly #standstill = new Standstill()

  constructor(deps: ExportsDeps) {
    this.#deps = deps
  }

  /**
   * Lasts until `signal` is aborted, which ends the export.
   * @throws RegistryError TOOMANYREQUESTS
   */
  async *begin(signal: AbortSignal): AsyncGenerator<ExportEvent> {
    if (this.#running.size >= EXPORTS_MAX) throw tooMany()
    const id = randomBytes(ID_BYTES).toString('hex')
    const ended = new AbortController()
    const broken = Promise.withResolvers<string | undefined>()
    const plan = new ExportPlan(this.#deps.held)
    const sinceMs = this.#deps.clock.nowMs()
    this.#running.set(id, { plan, ended, sinceMs, doneBytes: 0, broken: broken.resolve })
    const left = () => broken.resolve(undefined)
    signal.addEventListener('abort', left, { once: true })
    if (signal.aborted) left()
    try {
      yield { kind: 'begun', id }
      const message = await broken.promise
      if (message !== undefined) yield { kind: 'broken', message }
    } finally {
      signal.removeEventListener('abort', left)
      this.#running.delete(id)
      ended.abort(new Error('the export has ended'))
      plan.end()
      this.#deps.released()
    }
  }

  /**
   * Brings in what `image` names, or a pattern of what is here, and plans it.
   * @throws RegistryError for an export that is over, or planned
   */
  async *add(
    id: string,
    { image, ...how }: Gathering,
    asked: AbortSignal,
  ): AsyncGenerator<AddEvent> {
    const { plan, ended } = this.#unplanned(id)
    const signal = AbortSignal.any([asked, ended.signal])
    let any = false
    for await (const name of this.#namesOf(image)) {
      any = true
      try {
        for await (const event of gatherImage(this.#deps, plan, { ...how, image: name, signal })) {
          await this.#standstill.pass(signal)
          yield event
        }
        yield { kind: 'added', image: name }
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
        yield { kind: 'missing', image: name, message: messageOf(error) }
      }
    }
    const message = 'no image here has such a name: "entrepot ls" lists them'
    if (!any) yield { kind: 'missing', image, message }
  }

  /** A pattern is over what is here. */
  async *#namesOf(image: string): AsyncGenerator<string> {
    if (!GLOB.test(image)) yield image
    else
      for await (const { key, tag, digest } of namesMatching(this.#deps, [image]))
        yield tag === undefined ? `${key}@${digest}` : `${key}:${tag.tag}`
  }

  /** What the images are made of, a digest on each line. @throws RegistryError */
  async *digests(id: string): AsyncGenerator<Uint8Array> {
    const digests = this.#find(id).plan.digests()
    for (let at = 0; at < digests.length; at += LINES_AT_ONCE)
      yield Buffer.from(
        digests
          .slice(at, at + LINES_AT_ONCE)
          .map(each => `${each}\n`)
          .join(''),
      )
  }

  /** Whoever gets the bundle has these. @throws RegistryError for what is no digest */
  async suppose(id: string, digests: readonly string[]): Promise<{ readonly supposed: number }> {
    const { plan } = this.#unplanned(id)
    plan.suppose(digests.map(parseDigest))
    return { supposed: plan.counts.supposed }
  }

  /** Brings in the blobs that are to be brought, and are not here. @throws RegistryError */
  async *fetch(id: string, asked: AbortSignal): AsyncGenerator<FetchEvent> {
    const { plan, ended } = this.#unplanned(id)
    const signal = AbortSignal.any([asked, ended.signal])
    const pause = () => this.#standstill.pass(signal)
    yield* fetchBlobs(this.#deps, plan, { signal, pause })
  }

  /** Nothing can be added from then on. @throws RegistryError */
  async plan(id: string): Promise<PlannedExport> {
    const running = this.#find(id)
    const { plan } = running
    const { catalog } = this.#deps
    const signer = this.#deps.signer()
    running.bundle ??= await BundleBytes.of(plan, {
      ...this.#deps,
      signer,
      edge: catalog.identity,
    })
    const { sizeBytes, inventory } = running.bundle
    return { ...plan.counts, sizeBytes, inventory }
  }

  /** The bundle's bytes from a member on; see BundleBytes. @throws RegistryError */
  read(id: string, from: number): { sizeBytes: number; pieces: AsyncIterable<Uint8Array> } {
    const running = this.#find(id)
    const { bundle } = running
    if (bundle === undefined) throw new RegistryError('UNSUPPORTED', 'plan this export first')
    running.doneBytes = from
    const pieces = orBroken(running, bundle.read(from), this.#standstill)
    return { sizeBytes: bundle.sizeBytes - from, pieces }
  }

  /**
   * Signs the sums of the volumes that whoever exports has cut the bundle into.
   * `sha256`: of their text. @throws RegistryError
   */
  async sign(id: string, sha256: string): Promise<SignedSums> {
    this.#find(id)
    if (!/^[0-9a-f]{64}$/.test(sha256))
      throw new RegistryError('DIGEST_INVALID', 'a SHA-256 is 64 hex characters')
    const signer = this.#deps.signer()
    const signature = Buffer.from(signer.sign(statementOf('volumes', sha256))).toString('base64')
    return { key: signer.key, signature }
  }

  /**
   * Whoever read the bundle says that the bytes of this blob were others: it is read once more, and
   * where the disk has it wrong it is moved out of the way, so that it is fetched anew.
   * @throws RegistryError
   */
  async lookAgain(id: string, digestText: string): Promise<LookedAgain> {
    const { plan } = this.#find(id)
    const planned = plan.find(parseDigest(digestText))
    if (planned === undefined) throw new RegistryError('BLOB_UNKNOWN', 'it is not exported')
    const { digest, image, isKept = false } = planned
    return { image, isKept, isRotten: await isRotten(this.#deps.store, digest) }
  }

  list(): ListedExports {
    const running = [...this.#running].map(([id, { plan, sinceMs, doneBytes, bundle }]) => {
      const { images } = plan.counts
      const size = bundle && { sizeBytes: bundle.sizeBytes }
      return { id, sinceMs, images, doneBytes, ...size }
    })
    return { isPaused: this.#standstill.isOn, running }
  }

  /** All stand still at their next step, those that begin as well, until `resume`. */
  pause(): ListedExports {
    this.#standstill.begin()
    return this.list()
  }

  resume(): ListedExports {
    this.#standstill.end()
    return this.list()
  }

  /** Ends all that are under way. */
  cancel(): ListedExports {
    for (const each of this.#running.values()) each.broken('an operator has cancelled this export')
    return this.list()
  }

  #unplanned(id: string): Export {
    const running = this.#find(id)
    if (running.bundle === undefined) return running
    throw new RegistryError('UNSUPPORTED', 'this export is planned')
  }

  #find(id: string): Export {
    const running = this.#running.get(id)
    if (running !== undefined) return running
    throw new RegistryError('NAME_INVALID', 'there is no such export, or it is over')
  }
}

/** What breaks it is told to who began it: whoever reads sees a connection that breaks. */
async function* orBroken(
  running: Export,
  pieces: AsyncIterable<Uint8Array>,
  standstill: Standstill,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of pieces) {
      await standstill.pass(running.ended.signal)
      running.ended.signal.throwIfAborted()
      yield piece
      running.doneBytes += piece.length
    }
  } catch (error) {
    running.broken(error instanceof Error ? error.message : String(error))
    throw error
  }
}

function tooMany(): RegistryError {
  const message = `${EXPORTS_MAX} exports are under way: wait for one of them to end`
  return new RegistryError('TOOMANYREQUESTS', message)
}
