// A bundle comes in: all of it is verified, and what is not here yet is stored, before the first
// name of it is published; then image by image, each as a whole. Whatever ends it, the same bundle
// goes on: what is here by then is not written again, and no name tells of half an image.
import type { ArchiveMember } from '../../bundle/archive-members.ts'
import type { BundleKeyText } from '../../bundle/bundle-key.ts'
import type { BundleMember } from '../../bundle/bundle-members.ts'
import { RottenBlob } from '../../bundle/checked-bundle.ts'
import { openArchive } from '../../bundle/open-archive.ts'
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
import { ArchiveContents } from './archive-contents.ts'
import { takeArchive } from './archive-import.ts'
import { isAsked, keyFrom, readInventory, type RequiredKeys } from './believe.ts'
import { givenName } from './given-name.ts'
import type { Held } from './held.ts'
import type { ImportEvent, ImportOptions } from './import-answers.ts'
import { type ExpectedContent, ImportPlan, type PlannedImage } from './import-plan.ts'
import { isGiven, isHere, requireGiven, requireHere } from './import-rights.ts'
import { orderOf } from './import-order.ts'
import { Intake } from './intake.ts'
import { once, requireLayout, sha256Of, wholeOf } from './read-member.ts'

export interface ImportsDeps
  extends Pick<
    OperatorDeps,
    'registry' | 'catalog' | 'store' | 'namespaces' | 'ownNameIn' | 'clock'
  > {
  readonly held: Held
  /** One of them is to have signed what is imported; asked for each time. Empty: anybody. */
  readonly trustedKeys: () => readonly BundleKeyText[]
  /** Told when what was held may leave again. */
  readonly released: () => void
}

interface Import extends Omit<ImportOptions, 'keys'> {
  readonly keys: RequiredKeys
  readonly plan: ImportPlan
  readonly intake: Intake
}

/** What is held until the import has ended. */
interface Holding {
  readonly holding: Digest[]
  readonly signal: AbortSignal
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
    const running: Import = {
      ...options,
      keys: { asked: options.keys.map(keyFrom), trusted: trustedKeys() },
      plan: new ImportPlan(),
      intake: new Intake(this.#deps, options),
    }
    const holding: Digest[] = []
    this.#isRunning = true
    try {
      const opened = await openArchive(source)
      if (opened.kind === 'bundle' && options.as !== undefined)
        throw new BundleFault('--as is for archives of other programs: a bundle says its names')
      if (opened.kind === 'bundle')
        yield* this.#takeBundle(running, opened.members, { holding, signal })
      else yield await this.#takeArchive(running, opened.members, { holding, signal })
      const manifests = await running.plan.finish(createPacer(this.#deps.clock))
      await requireGiven(this.#deps, running.plan, isAsked(running.keys))
      if (!options.dryRun) await this.#recordAll(running, manifests, signal)
      yield* this.#publish(running, signal)
      yield { kind: 'imported', dryRun: options.dryRun, ...running.intake.counts }
    } catch (error) {
      throw error instanceof BundleFault ? refused(error) : error
    } finally {
      held.release(holding)
      released()
      this.#isRunning = false
    }
  }

  async *#takeBundle(
    running: Import,
    members: AsyncIterable<BundleMember>,
    { holding, signal }: Holding,
  ): AsyncGenerator<ImportEvent> {
    let index: string | undefined
    for await (const member of members) {
      signal.throwIfAborted()
      if (member.kind === 'index') index = await sha256Of(member)
      else if (member.kind !== 'inventory') await this.#take(running, member)
      else {
        yield await readInventory(running, member, index)
        // One by one: there may be more than a call takes arguments.
        for (const digest of running.plan.digests()) holding.push(digest)
        this.#deps.held.hold(holding)
        const lacking = await this.#lacking(running)
        if (lacking.length > 0) {
          const images = running.plan.images.map(({ image }) => image)
          yield { kind: 'lacking', count: lacking.length, images }
        }
        requireHere(lacking)
      }
    }
  }

  /** What is signed by nobody is none of what is asked for where a key is. @throws BundleFault */
  async #takeArchive(
    { keys, plan, intake, dryRun, as }: Import,
    members: AsyncGenerator<ArchiveMember>,
    { holding, signal }: Holding,
  ): Promise<ImportEvent> {
    if (isAsked(keys))
      throw new BundleFault(
        'another program wrote it, and none of the keys that are asked for has signed it',
      )
    const { held, clock } = this.#deps
    const contents = new ArchiveContents(intake, { held, holding, dryRun })
    const given = as === undefined ? undefined : givenName(this.#deps, as)
    return takeArchive(members, { contents, plan, given, nowMs: clock.nowMs(), signal })
  }

  async #take({ plan, intake }: Import, member: BundleMember): Promise<void> {
    if (member.kind === 'layout') await requireLayout(member)
    if (member.kind !== 'blob') return
    const expected = plan.come(member.digest, member.sizeBytes)
    const { digest, mediaType } = expected
    if (mediaType === undefined)
      return intake.take(expected, { ...this.#placeOf(expected), body: member.bytes })
    const bytes = await wholeOf(member)
    if (digestOf(bytes, digestAlgorithm(digest)) !== digest) throw new RottenBlob(digest)
    list(plan, expected, bytes)
    await intake.take(expected, { ...this.#placeOf(expected), body: once(bytes) })
  }

  /** Where it is pending until a manifest lists it. @throws BundleFault */
  #placeOf(expected: ExpectedContent) {
    const [home] = expected.repositories
    if (home === undefined) throw new BundleFault(`${expected.digest} belongs to no repository`)
    return { home: parseRepositoryKey(home), isGiven: () => isGiven(this.#deps, expected) }
  }

  /** Of what it supposes, what is not here. */
  async #lacking({ plan, intake }: Import): Promise<readonly Digest[]> {
    const lacking: Digest[] = []
    for (const expected of plan.supposed())
      if (!(await isHere(this.#deps, expected))) lacking.push(expected.digest)
      else if (expected.mediaType !== undefined)
        list(plan, expected, await intake.bytesOf(expected.digest))
    return lacking
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
    const { plan, intake } = running
    yield* this.#notes(plan)
    for (const image of plan.images) {
      signal.throwIfAborted()
      const outcome = await this.#name(running, image)
      if (LEADS_THERE.has(outcome)) intake.counts.images += 1
      yield { kind: 'image', image: image.image, digest: image.digest, outcome }
    }
  }

  #record(
    { plan, intake }: Import,
    repository: Repository,
    what: {
      readonly digest: Digest
      readonly mediaType: string
      readonly tag?: { tag: NonNullable<PlannedImage['tag']>; order: Order }
    },
  ): Promise<TagOutcome> {
    return this.#deps.registry.importing.manifest(repository, {
      ...what,
      bytes: () => intake.bytesOf(what.digest),
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
