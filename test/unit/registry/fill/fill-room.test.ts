// Goal: a blob whose length only a later answer tells counts against the free disk, and is refused
// when it is too long. Method: the engine over in-memory twins; an upstream whose first answer has
// no length and breaks, whose second has one.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { BlobAnswer } from '../../../../src/registry/answers.ts'
import type { BlobRequest } from '../../../../src/registry/ports/upstream-content.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import {
  blobAnswer,
  createEngine,
  type Engine,
  readAll,
  repositoryOf,
} from '../../../kit/engine.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024

/**
 * Breaks after a MiB without having told the length, which the second answer tells before it waits
 * for `wait`.
 */
function tellsLater(bytes: Uint8Array, { offset }: BlobRequest, wait: () => Promise<void>) {
  if (offset === 0) {
    const pieces = [bytes.subarray(0, MiB), new Uint8Array()]
    return blobAnswer(pieces, { totalBytes: undefined }, async () => {
      throw new UpstreamError('unavailable', 'the connection broke')
    })
  }
  const rest = [new Uint8Array(), bytes.subarray(offset)]
  return blobAnswer(rest, { offset, totalBytes: bytes.length }, wait)
}

/** The pull, which knows the length once the second answer has come. */
async function pull({ registry, clock }: Engine, bytes: Uint8Array): Promise<BlobAnswer> {
  const answer = registry.pullBlob(app, digestOf(bytes))
  // After an answer that brought something the next question follows without a pause.
  await clock.untilSleeping(0)
  await clock.advance(0)
  return await answer
}

function outcomes({ events }: Engine): string[] {
  return events.flatMap(event => (event.kind === 'fill ended' ? [event.outcome] : []))
}

t.test('a blob that turns out to be longer than the disk has room is not begun', async t => {
  const bytes = Buffer.alloc(40 * MiB, 'long')
  let isReading = false
  const engine = createEngine({
    upstream: {
      getBlob: async (_name, _digest, request) =>
        tellsLater(bytes, request, async () => void (isReading = true)),
    },
  })
  engine.disk.capacityBytes = 32 * MiB
  const answer = await pull(engine, bytes)
  t.equal(answer.sizeBytes, bytes.length)
  await answer.close()
  await engine.registry.settled(digestOf(bytes))
  t.same(outcomes(engine), ['uncached'])
  t.notOk(isReading)
})

t.test('a blob whose length is told later has its room from then on', async t => {
  const [large, small] = [Buffer.alloc(20 * MiB, 'large'), Buffer.alloc(12 * MiB, 'small')]
  const goOn = Promise.withResolvers<void>()
  const engine = createEngine({
    upstream: {
      getBlob: async (_name, digest, request) =>
        digest === digestOf(small)
          ? blobAnswer([small])
          : tellsLater(large, request, () => goOn.promise),
    },
  })
  engine.disk.capacityBytes = 32 * MiB
  const { registry } = engine
  const first = await pull(engine, large)
  t.same(await readAll(await registry.pullBlob(app, digestOf(small))), small)
  await registry.settled(digestOf(small))
  goOn.resolve()
  await first.close()
  await registry.settled(digestOf(large))
  t.same(outcomes(engine), ['uncached', 'stored'])
})
