// The coordinator's end of the registry as an HTTP thread has it: does what that thread asks for,
// and holds what it has open.
import type { BlobAnswer, UploadChunk } from '../registry/answers.ts'
import type { Registry } from '../registry/use-cases.ts'
import { LentBlobs } from './lent-blobs.ts'
import { ownBytes } from './messages.ts'
import type { Handlers } from './other-thread.ts'
import {
  type CrossingChunk,
  type HttpThread,
  type RegistrySide,
  VALUE_METHODS,
  type ValueMethod,
} from './sides.ts'

export interface LentRegistry {
  readonly handlers: Handlers<RegistrySide>
  /** Blobs that the thread has open. */
  readonly blobsOpen: number
  /** To be called once the thread is no more. */
  end(): void
}

export interface LendDeps {
  /** Looked up at each call: there may be none before the first. */
  readonly registry: () => Registry
  readonly httpThread: () => HttpThread
  /** What could not be closed. */
  readonly failed: (error: unknown) => void
}

type Methods = Handlers<RegistrySide>['methods']

export function lendRegistry(deps: LendDeps): LentRegistry {
  const { registry, httpThread, failed } = deps
  const blobs = new LentBlobs(failed)
  return {
    handlers: {
      methods: {
        ...lendValues(registry),
        ...lendWrites(deps),
        async pullManifest([repository, request]) {
          const answer = await registry().pullManifest(repository, request)
          return { ...answer, bytes: ownBytes(answer.bytes) }
        },
        async readWholeBlob(request) {
          const blob = await registry().readWholeBlob(...request)
          return blob === undefined ? undefined : { ...blob, bytes: ownBytes(blob.bytes) }
        },
        async pullBlob({ repository, digest }) {
          const blob = await registry().pullBlob(repository, digest)
          const { sizeBytes, source, file, isShareable = false } = blob
          const lease = blobs.lend(blob)
          const { descriptor, readyBytes = 0 } = file ?? {}
          const isProven = file?.isProven?.() ?? false
          const head = { digest, sizeBytes, source, isShareable }
          return { ...head, lease, descriptor, readyBytes, isProven }
        },
        async untilBlob({ lease, position, last }, signal) {
          const sendable = await blobs.find(lease).file?.until(position, last, signal)
          return typeof sendable === 'object' ? ownBytes(sendable) : sendable
        },
        async readBlob({ lease, range, from }) {
          return blobs.offer(lease, blob =>
            httpThread().offer(
              abortable(signal => blob.read(range, signal, from)),
              piece => blob.giveBack?.(piece),
            ),
          )
        },
      },
      notes: {
        closeBlob: lease => blobs.giveBack(lease),
        used: uses => registry().noteUses(uses),
        reads: ({ repository, digest }) => registry().noteRead(repository, digest),
        pulled: ({ repository, digest, client }) => registry().notePull(repository, digest, client),
      },
    },
    get blobsOpen() {
      return blobs.count
    },
    end: () => blobs.end(),
  }
}

type AnyMethod = (...request: readonly unknown[]) => Promise<unknown>

/** What takes values and gives values. */
function lendValues(registry: () => Registry): Pick<Methods, ValueMethod> {
  const methods = VALUE_METHODS.map(method => [
    method,
    (request: readonly unknown[]) => (registry()[method] as AnyMethod)(...request),
  ])
  return Object.fromEntries(methods) as Pick<Methods, ValueMethod>
}

function lendWrites({
  registry,
  httpThread,
}: LendDeps): Pick<Methods, 'appendUpload' | 'finishUpload' | 'mountBlob'> {
  /** Whoever refuses a write need not have touched its body: it is left all the same. */
  async function withBody<Value>(
    { body, ...head }: CrossingChunk,
    write: (chunk: UploadChunk) => Promise<Value>,
  ): Promise<Value> {
    if (body === undefined) return write({ ...head, body: NOTHING })
    const pieces = httpThread().accept(body)
    try {
      return await write({ ...head, body: pieces })
    } finally {
      await pieces.return?.()
    }
  }
  return {
    appendUpload: ({ repository, id, chunk }) =>
      withBody(chunk, whole => registry().appendUpload(repository, id, whole)),
    finishUpload: ({ repository, id, digest, chunk }) =>
      withBody(chunk, whole => registry().finishUpload(repository, id, { digest, chunk: whole })),
    mountBlob: ({ repository, digest, from, mount }) =>
      registry().mountBlob(repository, {
        digest,
        from,
        mayReadAny: repositories => httpThread().call('mayReadAny', { mount, repositories }),
      }),
  }
}

const NOTHING: AsyncIterable<Uint8Array> = (async function* () {})()

/** A reading that ends at once when it is left, also while it waits for bytes. */
function abortable(
  read: (signal: AbortSignal) => ReturnType<BlobAnswer['read']>,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const left = new AbortController()
      const pieces = read(left.signal)[Symbol.asyncIterator]()
      return {
        next: () => pieces.next(),
        async return() {
          left.abort(new Error('nobody reads this blob any more'))
          await pieces.return?.()
          return { done: true, value: undefined }
        },
      }
    },
  }
}
