// Pieces of uploads as requests bring them, for tests of the registry room: bodies that come, wait,
// or break off when the test says so.
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import type { ByteRange } from '../../../src/oci/range.ts'
import type { Repository } from '../../../src/oci/reference.ts'
import type { UploadChunk } from '../../../src/registry/answers.ts'
import type { Registry } from '../../../src/registry/use-cases.ts'

/** A body of these bytes; nothing is announced unless `said`. */
export function chunkOf(
  bytes: Uint8Array | string,
  said: { range?: ByteRange; lengthBytes?: number } = {},
): UploadChunk {
  return { body: once(Buffer.from(bytes)), range: said.range, lengthBytes: said.lengthBytes }
}

export const nothing = (): UploadChunk => chunkOf('', { lengthBytes: 0 })

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  if (bytes.length > 0) yield bytes
}

export interface HeldBody {
  readonly chunk: UploadChunk
  /** Resolves once the piece was asked for and taken. */
  bring(bytes: Uint8Array | string): Promise<void>
  end(): void
  /** As a broken connection ends a body. */
  breakOff(error: Error): void
  /** Nobody reads on. */
  readonly left: Promise<void>
}

/** A body that comes as the test says. */
export function heldBody(said: { range?: ByteRange; lengthBytes?: number } = {}): HeldBody {
  type Step = { bytes: Buffer; taken: () => void } | { error: Error } | 'end'
  const steps: Step[] = []
  let wake = Promise.withResolvers<void>()
  const left = Promise.withResolvers<void>()
  const add = (step: Step) => {
    steps.push(step)
    wake.resolve()
    wake = Promise.withResolvers()
  }
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const step = steps.shift()
      if (step === undefined) await wake.promise
      else if (step === 'end') return
      else if ('error' in step) throw step.error
      else {
        yield step.bytes
        // Whoever asks for the next one has done with this.
        step.taken()
      }
    }
  }
  // A generator answers `return` only when its `next` is through; a socket answers at once.
  const body: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => {
      const iterator = pieces()
      return {
        next: () => iterator.next(),
        return: async () => {
          left.resolve()
          return { done: true, value: undefined }
        },
      }
    },
  }
  return {
    chunk: { body, range: said.range, lengthBytes: said.lengthBytes },
    bring: bytes =>
      new Promise(taken => add({ bytes: Buffer.from(bytes), taken: () => taken(undefined) })),
    end: () => add('end'),
    breakOff: error => add({ error }),
    left: left.promise,
  }
}

/** POST and one PUT. */
export async function pushWhole(
  registry: Registry,
  repository: Repository,
  bytes: Uint8Array | string,
): Promise<Digest> {
  const digest = digestOf(Buffer.from(bytes))
  const { id } = await registry.startUpload(repository, { algorithm: 'sha256' })
  await registry.finishUpload(repository, id, { digest, chunk: chunkOf(bytes) })
  return digest
}
