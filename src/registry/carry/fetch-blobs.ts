// Brings in the blobs of a plan that are not here, a few at a time, and tells how far that is. What
// cannot be had is told with its image, and keeps the others no less from coming.
import { eachFew } from '../../async/few-at-once.ts'
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseRepositoryKey, type RepositoryKey } from '../../oci/reference.ts'
import { pullOne } from '../operator/warm-image.ts'
import type { GatherDeps } from './gather.ts'
import { messageOf } from './message-of.ts'
import type { ExportPlan } from './plan.ts'

/** As many as a client pulls: an upstream gives no more the faster for it. */
const BLOBS_AT_ONCE = 4

export type FetchEvent =
  /** Of what was not here. */
  | { readonly kind: 'fetched'; readonly doneBytes: number; readonly totalBytes: number }
  /** A blob of this image cannot be had. */
  | { readonly kind: 'missing'; readonly image: string; readonly message: string }

export interface Fetching {
  readonly signal: AbortSignal
  /** To be awaited between steps. */
  readonly pause: () => Promise<void>
}

export async function* fetchBlobs(
  deps: GatherDeps,
  plan: ExportPlan,
  how: Fetching,
): AsyncGenerator<FetchEvent> {
  const told = new Told()
  const work = fetchAll(deps, plan, { ...how, told }).finally(() => told.end())
  // Met below, when all that it told is told.
  work.catch(() => {})
  yield* told.events()
  await work
}

interface Telling extends Fetching {
  readonly told: Told
}

async function fetchAll(
  deps: GatherDeps,
  plan: ExportPlan,
  { signal, pause, told }: Telling,
): Promise<void> {
  const blobs = plan.wantedBlobs()
  for (const { digest, sizeBytes } of blobs)
    if ((await deps.store.find(digest)) === undefined) told.totalBytes += sizeBytes
  await eachFew(blobs, BLOBS_AT_ONCE, async blob => {
    signal.throwIfAborted()
    await pause()
    // To be here for one of them is no right in another (ADR 0004), here or where the bundle goes.
    for (const [at, key] of [...blob.repositories].entries())
      try {
        await fetchOne(deps, plan, { digest: blob.digest, key, signal, told })
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error
        const image = at === 0 ? blob.image : key
        told.add({ kind: 'missing', image, message: messageOf(error) })
      }
  })
}

async function fetchOne(
  deps: GatherDeps,
  plan: ExportPlan,
  { digest, key, ...rest }: { digest: Digest; key: RepositoryKey } & Omit<Telling, 'pause'>,
): Promise<void> {
  const { signal, told } = rest
  let doneBytes = 0
  let sizeBytes = 0
  for await (const event of pullOne(deps, parseRepositoryKey(key), { digest, signal })) {
    sizeBytes = event.sizeBytes
    if (event.source === 'hit' || event.source === 'local') continue
    told.doneBytes += event.doneBytes - doneBytes
    doneBytes = event.doneBytes
    told.changed()
  }
  const content = await deps.catalog.findContent(digest)
  plan.found(digest, { sizeBytes, isKept: content?.contentClass === 'kept' })
}

/** What those who work tell, for one who asks for it in his own time. */
class Told {
  totalBytes = 0
  doneBytes = 0
  readonly #waiting: FetchEvent[] = []
  #wake = () => {}
  #isChanged = false
  #isOver = false

  add(event: FetchEvent): void {
    this.#waiting.push(event)
    this.#wake()
  }

  changed(): void {
    this.#isChanged = true
    this.#wake()
  }

  end(): void {
    this.#isOver = true
    this.#wake()
  }

  async *events(): AsyncGenerator<FetchEvent> {
    for (;;) {
      const event = this.#waiting.shift()
      if (event !== undefined) yield event
      else if (this.#isChanged) {
        this.#isChanged = false
        const { doneBytes, totalBytes } = this
        // What was said of their lengths before may have been wrong.
        yield { kind: 'fetched', doneBytes, totalBytes: Math.max(doneBytes, totalBytes) }
      } else if (this.#isOver) return
      else await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }
}
