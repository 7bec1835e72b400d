// A bundle comes in: all of it is verified, and what is not here yet is stored, before the first
// name of it is published; then image by image, each as a whole. Whatever ends it, the same bundle
// goes on: what is here by then is not written again, and no name tells of half an image.
import type { BundleKeyText } from '../../bundle/bundle-key.ts'
import { type BundleMember, bundleMembers } from '../../bundle/bundle-members.ts'
import { RottenBlob } from '../../bundle/checked-bundle.ts'
import { BundleFault } from '../../bundle/tar-pieces.ts'
import { type Digest, digestAlgorithm, digestOf } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import { parseManifest } from '../../oci/manifest.ts'
import { LOCALHOST, parseRepositoryKey, type Repository } from '../../oci/reference.ts'
import { asRecorded } from '../content/edges.ts'
import type { OperatorDeps } from '../operator/operator-deps.ts'
import type { Order } from '../ports/order.ts'
import type { TagOutcome } from '../content/imported-tag.ts'
import { createPacer } from '../pacing/pacer.ts'
import { isAsked, keyFrom, readInventory, type RequiredKeys } from './believe.ts'
import type { Held } from './held.ts'
import type { ImportCounts, ImportEvent, ImportOptions } from './import-answers.ts'
import { type ExpectedContent, ImportPlan, type PlannedImage } from './import-plan.ts'
import { isGiven, isHere, requireGiven, requireHere } from './import-rights.ts'
import { orderOf } from './import-order.ts'
import { once, requireLayout, requireRight, wholeOf } from './read-member.ts'

export interface ImportsDeps
  extends Pick<OperatorDeps, 'registry' | 'catalog' | 'store' | 'namespaces' | 'clock'> {
  readonly held: Held
  /** One of them is to have signed what is imported; asked for each time. Empty: anybody. */
  readonly trustedKeys: () => readonly BundleKeyText[]
  /** Told when what was held may leave again. */
  readonly released: () => void
}

interface Import extends Omit<ImportOptions, 'keys'> {
  readonly keys: RequiredKeys
  readonly plan: ImportPlan
  readonly counts: ImportCounts
}

export class Imports {
  readonly #deps: ImportsDeps
  #isRunning = false

  constructor(deps: ImportsDeps) {
    this.#deps = deps
  }

  /**
   * One at a time. Ends with the first thing that is wrong, and then nothing was published.
   * @throws RegistryError; StoreError; what the source throws
   */
  async *run(
    source: AsyncIterable<Uint8Array>,
    options: ImportOptions,
    signal: AbortSignal,
  ): AsyncGenerator<ImportEvent> {
    if (this.#isRunning)
      throw new RegistryError('TOOMANYREQUESTS', 'another import is under way: wait for its end')
    const { held, released, trustedKeys } = this.#deps
    const counts: ImportCounts = { images: 0, written: 0, writtenBytes: 0, hereBytes: 0 }
    const running: Import = {
      ...options,
      keys: { asked: options.keys.map(keyFrom), trusted: trustedKeys() },
      plan: new ImportPlan(),
      counts,
    }
    const holding: Digest[] = []
    this.#isRunning = true
    try {
      for await (const member of bundleMembers(source)) {
        signal.throwIfAborted()
        if (member.kind !== 'inventory') await this.#take(running, member)
        else {
          yield await readInventory(running, member)
          holding.push(...running.plan.digests())
          held.hold(holding)
          await this.#requireSupposed(running)
        }
      }
      const manifests = await running.plan.finish(createPacer(this.#deps.clock))
      await requireGiven(this.#deps, running.plan, isAsked(running.keys))
      if (!options.dryRun) await this.#recordAll(running, manifests, signal)
      yield* this.#publish(running, signal)
      yield { kind: 'imported', dryRun: options.dryRun, ...counts }
    } catch (error) {
      throw error instanceof BundleFault ? refused(error) : error
    } finally {
      held.release(holding)
      released()
      this.#isRunning = false
    }
  }

  async #take(running: Import, member: BundleMember): Promise<void> {
    if (member.kind === 'layout') await requireLayout(member)
    if (member.kind !== 'blob') return
    const { plan } = running
    const expected = plan.come(member.digest, member.sizeBytes)
    if (expected.mediaType === undefined) return this.#takeIn(running, expected, member.bytes)
    const bytes = await wholeOf(member)
    const { digest } = expected
    if (digestOf(bytes, digestAlgorithm(digest)) !== digest) throw new RottenBlob(digest)
    list(plan, expected, bytes)
    await this.#takeIn(running, expected, once(bytes))
  }

  /** Whatever of it is not here is stored; what is, and not given there, is hashed all the same. */
  async #takeIn(
    { counts, dryRun }: Import,
    expected: ExpectedContent,
    body: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const { digest, sizeBytes } = expected
    if (await isHere(this.#deps, expected)) {
      if (!(await isGiven(this.#deps, expected))) await requireRight(digest, body)
      counts.hereBytes += sizeBytes
      return
    }
    if (dryRun) await requireRight(digest, body)
    else await this.#store(expected, body)
    counts.written += 1
    counts.writtenBytes += sizeBytes
  }

  async #store(
    { digest, sizeBytes, repositories }: ExpectedContent,
    body: AsyncIterable<Uint8Array>,
  ): Promise<void> {
    const [home] = repositories
    if (home === undefined) throw new BundleFault(`${digest} belongs to no repository`)
    const { importing } = this.#deps.registry
    try {
      await importing.blob(parseRepositoryKey(home), { digest, sizeBytes, body })
    } catch (error) {
      if (error instanceof RegistryError && error.code === 'DIGEST_INVALID')
        throw new RottenBlob(digest)
      throw error
    }
  }

  async #requireSupposed({ plan }: Import): Promise<void> {
    const lacking: Digest[] = []
    for (const expected of plan.supposed())
      if (!(await isHere(this.#deps, expected))) lacking.push(expected.digest)
      else if (expected.mediaType !== undefined)
        list(plan, expected, await this.#bytesOf(expected.digest))
    requireHere(lacking)
  }

  async #recordAll(
    running: Import,
    manifests: readonly ExpectedContent[],
    signal: AbortSignal,
  ): Promise<void> {
    for (const { digest, mediaType = '', repositories } of manifests)
      for (const key of repositories) {
        signal.throwIfAborted()
        await this.#record(running, parseRepositoryKey(key), { digest, mediaType })
      }
  }

  async *#publish(running: Import, signal: AbortSignal): AsyncGenerator<ImportEvent> {
    const { plan, counts } = running
    yield* this.#notes(plan)
    for (const image of plan.images) {
      signal.throwIfAborted()
      const outcome = await this.#name(running, image)
      if (LEADS_THERE.has(outcome)) counts.images += 1
      yield { kind: 'image', image: image.image, digest: image.digest, outcome }
    }
  }

  #record(
    { plan }: Import,
    repository: Repository,
    what: {
      readonly digest: Digest
      readonly mediaType: string
      readonly tag?: { tag: NonNullable<PlannedImage['tag']>; order: Order }
    },
  ): Promise<TagOutcome> {
    return this.#deps.registry.importing.manifest(repository, {
      ...what,
      bytes: () => this.#bytesOf(what.digest),
      mayLack: digest => plan.isLeftOut(digest),
    })
  }

  /** Its manifest is there by now. */
  async #name(running: Import, image: PlannedImage): Promise<TagOutcome> {
    const { repository, tag, digest } = image
    if (tag === undefined) return 'new'
    const { importing } = this.#deps.registry
    const order = orderOf(image, running.plan.edge, this.#deps.clock.nowMs())
    if (running.dryRun) return importing.foresee(repository, { digest, tag, order })
    const mediaType = running.plan.find(digest)?.mediaType ?? ''
    return this.#record(running, repository, { digest, mediaType, tag: { tag, order } })
  }

  /** What is here, and no client could ask for. */
  *#notes({ images }: ImportPlan): Generator<ImportEvent> {
    const registries = new Set(images.map(({ repository }) => repository.registry))
    for (const registry of registries) {
      if (registry === LOCALHOST || this.#deps.namespaces.find(registry) !== undefined) continue
      const message = `nothing of ${registry} can be pulled here: the configuration names no such upstream; "${registry}: { offline: true }" under "upstreams" does`
      yield { kind: 'note', message }
    }
  }

  async #bytesOf(digest: Digest): Promise<Uint8Array> {
    const bytes = await this.#deps.store.readVerified(digest)
    if (bytes !== undefined) return bytes
    throw new RegistryError('MANIFEST_UNKNOWN', `${digest} is gone again: import it once more`)
  }
}

const LEADS_THERE: ReadonlySet<TagOutcome> = new Set(['new', 'moved', 'same'])

/** @throws BundleFault */
function list(plan: ImportPlan, { digest, mediaType = '' }: ExpectedContent, bytes: Uint8Array) {
  try {
    plan.list(asRecorded(parseManifest(bytes, mediaType), digest, bytes.length))
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    throw new BundleFault(`${digest} is no manifest: ${error.message}`)
  }
}

function refused({ message, isCut }: BundleFault): RegistryError {
  const rest = isCut ? '; what came stays for a day, and the same command goes on' : ''
  return new RegistryError('MANIFEST_INVALID', `no name was imported: ${message}${rest}`)
}
