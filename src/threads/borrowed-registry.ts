// The registry as an HTTP thread has it: what is pure is done here, everything else is a call of
// the coordinator. To http/ it is a Registry like any other.
import type { Target } from '../oci/endpoint.ts'
import type { BlobAnswer, UploadChunk } from '../registry/answers.ts'
import type { Registry } from '../registry/use-cases.ts'
import type { ReadCached } from '../registry/fill/buffer-pool.ts'
import type { OpenBlobs } from '../registry/reading/open-blobs.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { RepositoryPolicies } from '../registry/routing/repository-policy.ts'
import type { Route } from '../registry/routing/route.ts'
import { routeFrom } from '../registry/routing/route-from.ts'
import { Uses } from '../registry/reading/uses.ts'
import { ownBytes } from './messages.ts'
import type { Handlers, Offer } from './other-thread.ts'
import { borrowBlobs } from './borrowed-blob.ts'
import {
  type CoordinatorThread,
  type CrossingChunk,
  type HttpThreadSide,
  VALUE_METHODS,
} from './sides.ts'

/** What the configuration says about names; replaced as a whole when it is read again. */
export interface Rules {
  readonly route: Route
  readonly policies: RepositoryPolicies
}

export interface BorrowDeps {
  readonly coordinator: () => CoordinatorThread
  readonly rules: () => Rules
  readonly clock: Pick<Clock, 'sleep' | 'monotonicMs'>
  /** Of this thread. */
  readonly openBlobs: OpenBlobs
  /** As the registry has it. */
  readonly readCached?: ReadCached | undefined
}

export interface BorrowedRegistry {
  readonly registry: Registry
  /** What the coordinator calls back for. */
  readonly methods: Pick<Handlers<HttpThreadSide>['methods'], 'mayReadAny'>
  /** Resolves once the coordinator is told of all that was given. */
  tellUses(): Promise<void>
  /** The same. Answers after it are not noted. */
  stop(): Promise<void>
}

/**
 * The coordinator is told so soon of what is given from memory; of what goes on being given less
 * often, since each message wakes it.
 */
const USES_EVERY_MS = 1_000
const USES_AGAIN_MS = 10_000

type MayReadAny = Parameters<Registry['mountBlob']>[1]['mayReadAny']

export function borrowRegistry(deps: BorrowDeps): BorrowedRegistry {
  const { coordinator, rules, clock, openBlobs } = deps
  const mounts = new Mounts()
  const blobs = borrowBlobs(coordinator, deps.readCached)
  const uses = new Uses({
    clock,
    everyMs: USES_EVERY_MS,
    againMs: USES_AGAIN_MS,
    handOn: each => coordinator().notify('used', each),
  })
  const values = Object.fromEntries(
    VALUE_METHODS.map(method => [
      method,
      (...request: readonly unknown[]) => coordinator().call(method, request as never),
    ]),
  ) as unknown as Pick<Registry, (typeof VALUE_METHODS)[number]>
  const registry: Registry = {
    ...values,
    route: (...asked) => rules().route(...asked),
    routeFrom: (target: Target, from, host) => routeFrom(rules().route, target, { from, host }),
    createNoteUse: used => uses.createNote(used),
    noteUses: each => uses.add(each),
    // At once: its client asks for blobs within a round trip.
    noteRead: (repository, digest) => coordinator().notify('reads', { repository, digest }),
    notePull: (repository, digest, client) =>
      coordinator().notify('pulled', { repository, digest, client }),
    policyOf: repository => rules().policies.find(repository),
    pushManifest: (repository, push) =>
      coordinator().call('pushManifest', [repository, { ...push, bytes: ownBytes(push.bytes) }]),
    pullBlob: async (repository, digest): Promise<BlobAnswer> => {
      const stamped = openBlobs.stampOf(repository, digest)
      const open = openBlobs.find(stamped)
      if (open !== undefined) {
        // Whoever reads one blob of an image may want the others.
        coordinator().notify('reads', { repository, digest })
        return open
      }
      const lent = await coordinator().call('pullBlob', { repository, digest })
      return lent.isShareable ? openBlobs.share(stamped, blobs.whole(lent)) : blobs.answer(lent)
    },
    findOpen: (repository, digest) => openBlobs.find(openBlobs.stampOf(repository, digest)),
    appendUpload: (repository, id, chunk) =>
      withBody(coordinator(), chunk, crossing =>
        coordinator().call('appendUpload', { repository, id, chunk: crossing }),
      ),
    finishUpload: (repository, id, { digest, chunk }) =>
      withBody(coordinator(), chunk, crossing =>
        coordinator().call('finishUpload', { repository, id, digest, chunk: crossing }),
      ),
    mountBlob: (repository, { digest, from, mayReadAny }) =>
      mounts.during(mayReadAny, mount =>
        coordinator().call('mountBlob', { repository, digest, from, mount }),
      ),
  }
  return {
    registry,
    methods: { mayReadAny: async request => mounts.mayReadAny(request) },
    tellUses: () => uses.flush(),
    stop: () => uses.stop(),
  }
}

/** The body can be read on the other side for as long as `write` runs. */
async function withBody<Value>(
  coordinator: CoordinatorThread,
  { body, range, lengthBytes }: UploadChunk,
  write: (chunk: CrossingChunk) => Promise<Value>,
): Promise<Value> {
  const offer: Offer | undefined = lengthBytes === 0 ? undefined : coordinator.offer(body)
  try {
    return await write({ range, lengthBytes, body: offer?.stream })
  } finally {
    offer?.dispose()
  }
}

/** Who asks for a mount knows what it may read; the coordinator knows where the blob is. */
class Mounts {
  readonly #asking = new Map<number, MayReadAny>()
  #last = 0

  async during<Value>(mayReadAny: MayReadAny, ask: (mount: number) => Promise<Value>) {
    this.#last += 1
    const mount = this.#last
    this.#asking.set(mount, mayReadAny)
    try {
      return await ask(mount)
    } finally {
      this.#asking.delete(mount)
    }
  }

  mayReadAny({
    mount,
    repositories,
  }: HttpThreadSide['methods']['mayReadAny']['request']): boolean | Promise<boolean> {
    return this.#asking.get(mount)?.(repositories) ?? false
  }
}
