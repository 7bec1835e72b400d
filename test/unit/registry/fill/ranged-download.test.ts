// Goal: a large blob comes by several ranges that add up to it, whatever the upstream does to any
// of them; and nothing wrong is kept. Method: the engine over in-memory twins and a manual clock,
// and an upstream whose connections bring so many bytes in ten milliseconds.
import t, { type Test } from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { BlobAnswer } from '../../../../src/registry/answers.ts'
import type { BlobStore } from '../../../../src/registry/ports/blob-store.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import type { Clock } from '../../../../src/registry/ports/clock.ts'
import type { UpstreamBlob } from '../../../../src/registry/ports/upstream-content.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { aroundFills } from '../../../kit/around.ts'
import {
  blobAnswer,
  createEngine,
  type Engine,
  type EngineOptions,
  readAll,
  repositoryOf,
} from '../../../kit/engine.ts'
import { askedTwiceOrNever } from '../../../kit/clients/herd.ts'
import {
  type MakeBody,
  type RangedUpstreamOptions,
  rangedUpstream,
} from '../../../kit/stubs/ranged-upstream.ts'

const app = repositoryOf('library/app')
const MiB = 1024 * 1024
const BYTES = Buffer.alloc(24 * MiB)
for (let at = 0; at < BYTES.length; at += 4) BYTES.writeUInt32LE((at * 2_654_435_761) >>> 0, at)
const DIGEST = digestOf(BYTES)
/** 10 MB/s: what a connection to a network of registries brings. */
const SLOW = 10_000
/** Of the first range, while nothing is known of the upstream. */
const FIRST_LAST = 4 * MiB - 1
/** Longer than any of these downloads takes by one connection. */
const LIMIT_MS = 120_000

interface Pulled {
  readonly engine: Engine
  readonly upstream: ReturnType<typeof rangedUpstream>
  readonly body: Buffer
  readonly error: unknown
  /** Until the last byte. */
  readonly tookMs: number
}

type Options = Partial<RangedUpstreamOptions> & { readonly engine?: EngineOptions }

function setUp(options: Options = {}) {
  const upstream = rangedUpstream({
    bytes: BYTES,
    bytesPerMs: SLOW,
    clock: () => engine.clock,
    ...options,
  })
  const engine: Engine = createEngine({
    ...options.engine,
    upstream: {
      getBlob: upstream.getBlob,
      headBlob: async () => ({ sizeBytes: BYTES.length }),
    },
  })
  return { upstream, engine }
}

/** As after the pull of a manifest that lists it. */
async function listBlob({ catalog, clock }: Engine): Promise<void> {
  const manifest = Buffer.from('{}')
  await catalog.recordManifest({
    repository: app,
    atMs: clock.nowMs(),
    manifest: {
      digest: digestOf(manifest),
      sizeBytes: manifest.length,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      edges: [
        {
          child: DIGEST,
          kind: 'layer',
          sizeBytes: BYTES.length,
          mediaType: 'application/octet-stream',
          platform: undefined,
          distributable: true,
        },
      ],
    },
  })
}

async function pull(options: Options = {}): Promise<Pulled> {
  const { upstream, engine } = setUp(options)
  await listBlob(engine)
  return await pullFrom(engine, upstream)
}

async function pullFrom(
  engine: Engine,
  upstream: ReturnType<typeof rangedUpstream>,
): Promise<Pulled> {
  const chunks: Uint8Array[] = []
  let isOver = false
  let error: unknown
  const read = async () => {
    const answer: BlobAnswer = await engine.registry.pullBlob(app, DIGEST)
    try {
      const range = { first: 0, last: answer.sizeBytes - 1 }
      for await (const chunk of answer.read(range, new AbortController().signal)) {
        chunks.push(Uint8Array.from(chunk))
        answer.giveBack?.(chunk)
      }
    } finally {
      await answer.close()
    }
  }
  const reading = read()
    .catch((thrown: unknown) => {
      error = thrown
    })
    .finally(() => {
      isOver = true
    })
  const startMs = engine.clock.monotonicMs()
  while (!isOver && engine.clock.monotonicMs() - startMs < LIMIT_MS) await engine.clock.advance(10)
  const tookMs = engine.clock.monotonicMs() - startMs
  await reading
  await engine.registry.settled(DIGEST)
  return { engine, upstream, body: Buffer.concat(chunks), error, tookMs }
}

function isRight(t: Test, { engine, body, error }: Pulled): void {
  t.equal(error, undefined)
  t.ok(body.equals(BYTES), 'the reader has the blob')
  t.ok(Buffer.from(engine.disk.blobs.get(DIGEST) ?? []).equals(BYTES), 'and the disk')
  t.equal(engine.disk.parts.size, 0)
}

function isRefused(t: Test, { engine, body, error }: Pulled): void {
  t.ok(error instanceof Error, 'the reader is told')
  t.ok(body.length < BYTES.length, 'and has no whole blob')
  t.equal(engine.disk.blobs.size, 0, 'nothing is kept')
}

function areOnce(t: Test, { upstream }: Pulled): void {
  t.same(askedTwiceOrNever(upstream.ranges(), BYTES.length), { twiceBytes: 0, neverBytes: 0 })
  t.equal(upstream.counts.sentBytes, BYTES.length)
}

t.test('P7: where a connection is slow, several bring the blob, each byte once', async t => {
  const pulled = await pull()
  isRight(t, pulled)
  areOnce(t, pulled)
  t.ok(pulled.upstream.counts.readingMost > 4, `${pulled.upstream.counts.readingMost} at once`)
  const aloneMs = BYTES.length / SLOW
  t.ok(pulled.tookMs < aloneMs / 2, `${pulled.tookMs} ms, and ${aloneMs} by one connection`)
})

t.test('P7: the next blob begins with as many as the last one ended with', async t => {
  const { engine, upstream } = await pull()
  await forget(engine)
  const before = upstream.asked.length
  const again = await pullFrom(engine, upstream)
  isRight(t, again)
  const ranges = upstream.ranges().slice(before)
  t.same(askedTwiceOrNever(ranges, BYTES.length), { twiceBytes: 0, neverBytes: 0 })
  t.ok(again.tookMs < BYTES.length / SLOW / 4, `${again.tookMs} ms`)
})

t.test('a connection that is fast enough brings it alone, asked ahead of its end', async t => {
  const pulled = await pull({ bytesPerMs: 120_000, answerMs: 40 })
  isRight(t, pulled)
  areOnce(t, pulled)
  t.equal(pulled.upstream.counts.readingMost, 1)
  const { tookMs } = pulled
  // Once for the first, and once more until it is known how early to ask.
  const answersMs = 2 * 40
  t.ok(tookMs < BYTES.length / 120_000 + answersMs + 60, `${tookMs} ms: no pause after that`)
})

t.test('an upstream that knows no ranges gives it whole, by one request', async t => {
  const pulled = await pull({
    answer: (_, normal, body) => whole(normal, body),
  })
  isRight(t, pulled)
  t.equal(pulled.upstream.asked.length, 1)
})

t.test('an upstream that refuses ranges gives it whole, and is asked so for a while', async t => {
  for (const failure of ['invalid', 'unsupported'] as const) {
    const { engine, upstream } = setUp({
      bytesPerMs: 100_000,
      answer: ({ request }, normal) => {
        if (request.lastByte !== undefined) throw new UpstreamError(failure, 'no ranges')
        return normal
      },
    })
    await listBlob(engine)
    isRight(t, await pullFrom(engine, upstream))
    t.match(lastBytes(upstream), [FIRST_LAST, undefined])
    t.equal(upstream.counts.sentBytes, BYTES.length)
    t.notOk(engine.events.some(({ kind }) => kind === 'content lied'))
    await forget(engine)
    isRight(t, await pullFrom(engine, upstream))
    t.match(lastBytes(upstream), [FIRST_LAST, undefined, undefined])
    await forget(engine)
    await engine.clock.advance(10 * 60_000)
    isRight(t, await pullFrom(engine, upstream))
    t.equal(upstream.asked.length, 5, 'and then by a range again')
  }
})

t.test('an upstream that refuses a blob whole as well is not taken to refuse ranges', async t => {
  let isRefusing = true
  const { engine, upstream } = setUp({
    answer: (_, normal) => {
      if (isRefusing) throw new UpstreamError('invalid', 'not this blob')
      return normal
    },
  })
  await listBlob(engine)
  isRefused(t, await pullFrom(engine, upstream))
  t.match(lastBytes(upstream), [FIRST_LAST, undefined])
  isRefusing = false
  isRight(t, await pullFrom(engine, upstream))
  t.equal(upstream.asked[2]?.request.lastByte, FIRST_LAST)
})

t.test('what is small, or of unknown length, comes by one request without a range', async t => {
  const { engine, upstream } = setUp({ bytesPerMs: 100_000 })
  const pulled = await pullFrom(engine, upstream)
  isRight(t, pulled)
  t.match(upstream.asked, [{ request: { offset: 0 } }])
  t.equal(upstream.asked[0]?.request.lastByte, undefined)
})

t.test('R87: a range that breaks is gone on with, and nothing comes twice', async t => {
  const pulled = await pull({
    answer: ({ index, first, last }, normal, body) => {
      if (index % 3 !== 1) return normal
      const end = first + Math.floor((last - first) / 3)
      return { ...normal, body: cut(body(first, end)) }
    },
  })
  isRight(t, pulled)
  t.equal(pulled.upstream.counts.sentBytes, BYTES.length)
})

t.test(
  'a range that fails gives its connection back at once, to whoever waits for one',
  async t => {
    const other = Buffer.from('another blob')
    let failsAt: number | undefined
    const upstream = rangedUpstream({
      bytes: BYTES,
      bytesPerMs: SLOW,
      clock: () => engine.clock,
      answer: ({ index }, normal) => {
        if (index === failsAt)
          throw new UpstreamError('rate-limited', 'not so many', { retryAfterMs: 8_000 })
        return normal
      },
    })
    let isOtherAsked = false
    const engine: Engine = createEngine({
      connections: 2,
      upstream: {
        headBlob: async () => ({ sizeBytes: BYTES.length }),
        getBlob: async (name, digest, ...asked) => {
          if (digest === DIGEST) return upstream.getBlob(name, digest, ...asked)
          isOtherAsked = true
          return blobAnswer([other])
        },
      },
    })
    await listBlob(engine)
    // After this one the next begins with both.
    isRight(t, await pullFrom(engine, upstream))
    await forget(engine)
    failsAt = upstream.asked.length + 1
    const pulling = pullFrom(engine, upstream)
    while (upstream.asked.length <= failsAt) await engine.clock.advance(10)
    const read = engine.registry.pullBlob(app, digestOf(other)).then(answer => readAll(answer))
    await engine.clock.advance(10)
    t.ok(upstream.counts.reading > 0, 'the other range is still on its way')
    t.ok(isOtherAsked)
    t.ok((await read).equals(other))
    isRight(t, await pulling)
  },
)

t.test('an upstream that sends shorter parts than it was asked for is asked again', async t => {
  const pulled = await pull({
    answer: ({ first, last }, normal, body) => {
      const end = Math.min(last, first + 700_000)
      return { ...normal, lastByte: end, body: body(first, end) }
    },
  })
  isRight(t, pulled)
  t.equal(pulled.upstream.counts.sentBytes, BYTES.length)
})

t.test(
  'R149: where more than a few connections are refused, fewer are used, and it comes',
  async t => {
    let reading = 0
    const pulled = await pull({
      answer: (_, normal) => {
        if (reading >= 3)
          throw new UpstreamError('rate-limited', 'three at once', { retryAfterMs: 200 })
        return { ...normal, body: counted(normal.body) }
      },
    })
    async function* counted(body: AsyncIterable<Uint8Array>) {
      reading += 1
      try {
        yield* body
      } finally {
        reading -= 1
      }
    }
    isRight(t, pulled)
    t.equal(pulled.upstream.counts.sentBytes, BYTES.length)
  },
)

t.test('a range that hangs is asked for anew when the others are done', async t => {
  const pulled = await pull({
    answer: ({ index, first, signal }, normal, body) =>
      index === 5 ? { ...normal, body: hanging(body(first, first + 99_999), signal) } : normal,
  })
  isRight(t, pulled)
  t.ok(pulled.tookMs < 10_000, `${pulled.tookMs} ms`)
})

t.test('a range that hangs is asked for anew also where it is the only one', async t => {
  const pulled = await pull({
    engine: { connections: 1 },
    bytesPerMs: 50_000,
    answer: ({ index, first, signal }, normal, body) =>
      index === 1 ? { ...normal, body: hanging(body(first, first + 99_999), signal) } : normal,
  })
  isRight(t, pulled)
  t.equal(pulled.upstream.counts.sentBytes, BYTES.length)
  t.ok(pulled.tookMs < 10_000, `${pulled.tookMs} ms`)
})

t.test('the first range, which hangs, is asked for anew like any other', async t => {
  const pulled = await pull({
    bytesPerMs: 50_000,
    answer: ({ index, first, signal }, normal, body) =>
      index === 0 ? { ...normal, body: hanging(body(first, first + 99_999), signal) } : normal,
  })
  isRight(t, pulled)
  t.equal(pulled.upstream.counts.sentBytes, BYTES.length)
  t.ok(pulled.tookMs < 10_000, `${pulled.tookMs} ms`)
})

t.test('a disk that takes its time is no silent upstream', async t => {
  const still = { fromMs: 400, toMs: 13_000 }
  for (const connections of [1, 16]) {
    const made: ReturnType<typeof setUp> = setUp({
      engine: {
        connections,
        store: store => standingStill(store, () => made.engine.clock, still),
      },
    })
    await listBlob(made.engine)
    const pulled = await pullFrom(made.engine, made.upstream)
    isRight(t, pulled)
    areOnce(t, pulled)
    t.ok(pulled.tookMs >= still.toMs, `${pulled.tookMs} ms`)
  }
})

t.test('R752: a disk that refuses what a range given up had brought costs the caching', async t => {
  let hangsFrom = Number.POSITIVE_INFINITY
  const pulled = await pull({
    engine: {
      store: store =>
        aroundFills(store, {
          writeAhead: writeAhead => async (position, chunks) => {
            if (position === hangsFrom) throw new StoreError('io', 'the disk is broken')
            await writeAhead(position, chunks)
          },
        }),
    },
    answer: ({ index, first, signal }, normal, body) => {
      // The gap before it stays.
      if (index === 4) return { ...normal, body: hanging(body(first, first - 1), signal) }
      if (index !== 5) return normal
      hangsFrom = first
      return { ...normal, body: hanging(body(first, first + 99_999), signal) }
    },
  })
  t.equal(pulled.error, undefined)
  t.ok(pulled.body.equals(BYTES))
  t.equal(pulled.engine.disk.blobs.size, 0, 'nothing is kept')
  t.match(pulled.engine.events.at(-1), { kind: 'fill ended', outcome: 'uncached' })
  t.notOk(pulled.engine.events.some(({ kind }) => kind === 'content lied'))
})

t.test('a range without an answer is asked for anew', async t => {
  const pulled = await pull({ silentAt: 5 })
  isRight(t, pulled)
  t.ok(pulled.tookMs < 10_000, `${pulled.tookMs} ms`)
})

t.test('R85: a wrong bit in any range is found; nothing is kept', async t => {
  for (const flipAt of [10, 9 * MiB + 1, BYTES.length - 1]) {
    const pulled = await pull({
      answer: ({ first }, normal) => ({ ...normal, body: flipped(normal.body, flipAt - first) }),
    })
    isRefused(t, pulled)
    t.match(pulled.engine.events.at(-1), { kind: 'fill ended', outcome: 'corrupt' })
    t.equal(pulled.engine.disk.parts.size, 0)
  }
})

type Answer = NonNullable<RangedUpstreamOptions['answer']>

const REFUSED = new UpstreamError('denied', 'not any more')

/** What somebody in the way may say in place of a part. */
const BOGUS: Readonly<Record<string, Answer>> = {
  'another part': (_, normal) => ({ ...normal, offset: normal.offset + 1 }),
  'a part of another blob': (_, normal) => ({ ...normal, totalBytes: BYTES.length + 1 }),
  'a page': (_, { lastByte: _part, ...normal }) => ({ ...normal, offset: 0, totalBytes: 54 }),
  'too much': ({ first, last }, normal, body) => ({
    ...normal,
    body: body(first, Math.min(last + 100, BYTES.length - 1)),
  }),
  'a refusal': () => {
    throw REFUSED
  },
  'not found': () => {
    throw new UpstreamError('not-found', 'nobody knows it')
  },
}

for (const [what, answer] of Object.entries(BOGUS)) {
  t.test(`R272: ${what} in place of one of several ranges is tried again`, async t => {
    const once: Answer = (asked, ...normal) =>
      asked.index === 4 ? answer(asked, ...normal) : normal[0]
    isRight(t, await pull({ answer: once }))
  })

  t.test(`R272: ${what} in place of all later ranges leaves what is here for the next`, async t => {
    let isOver = false
    const pulled = await pull({
      answer: (asked, ...normal) =>
        asked.index >= 4 && !isOver ? answer(asked, ...normal) : normal[0],
    })
    t.ok(pulled.error instanceof Error, 'the reader is told')
    t.ok(pulled.body.length < BYTES.length, 'and has no whole blob')
    const here = pulled.engine.disk.parts.get(DIGEST)?.bytes.length ?? 0
    t.ok(here > 0)
    isOver = true
    const before = pulled.upstream.asked.length
    isRight(t, await pullFrom(pulled.engine, pulled.upstream))
    t.equal(pulled.upstream.asked[before]?.first, here, 'it goes on behind what was there')
  })
}

t.test('the whole blob in the middle of ranges: one connection goes on from there', async t => {
  const pulled = await pull({
    answer: ({ index }, normal, body) => (index === 6 ? whole(normal, body) : normal),
  })
  isRight(t, pulled)
  const last = pulled.upstream.asked.at(-1)
  t.equal(last?.request.lastByte, undefined, 'the last question is for all that is left')
  t.ok((last?.first ?? 0) > 0, 'and not for what is here')
})

t.test('another ETag for a part is no lie: the digest is the judge', async t => {
  const pulled = await pull({
    answer: ({ index }, normal) => ({ ...normal, validator: `"v${index}"` }),
  })
  isRight(t, pulled)
  t.match(pulled.upstream.asked[3]?.request, { validator: '"v0"' })
})

t.test('an upstream that refuses a later range is asked for the rest, by one request', async t => {
  const pulled = await pull({
    answer: ({ index, request }, normal) => {
      if (index >= 6 && request.lastByte !== undefined)
        throw new UpstreamError('invalid', 'not this range', { status: 416 })
      return normal
    },
  })
  isRight(t, pulled)
  const last = pulled.upstream.asked.at(-1)
  t.equal(last?.request.lastByte, undefined)
  t.ok((last?.first ?? 0) > 0, 'and not for what is here')
})

t.test('a range that is refused once is no reason to do without others', async t => {
  const pulled = await pull({
    answer: ({ index }, normal) => {
      if (index === 6) throw new UpstreamError('invalid', 'not now', { status: 400 })
      return normal
    },
  })
  isRight(t, pulled)
  t.notOk(lastBytes(pulled.upstream).includes(undefined), 'all of it came by ranges')
})

/**
 * An upstream that had given a part of the blob by ranges, and knows none any more; `answer` is
 * what it says to the whole.
 */
async function withoutRanges(
  answer: (whole: UpstreamBlob, body: MakeBody, hereBytes: number) => UpstreamBlob,
) {
  let hereBytes: number | undefined
  const { engine, upstream } = setUp({
    answer: ({ index, request }, normal, body) => {
      if (hereBytes === undefined) {
        if (index >= 3) throw REFUSED
        return normal
      }
      if (request.offset > 0 || request.lastByte !== undefined)
        throw new UpstreamError('unsupported', 'no ranges', { status: 501 })
      return answer(whole(normal, body), body, hereBytes)
    },
  })
  await listBlob(engine)
  await pullFrom(engine, upstream)
  hereBytes = engine.disk.parts.get(DIGEST)?.bytes.length ?? 0
  const before = upstream.asked.length
  const pulled = await pullFrom(engine, upstream)
  return { pulled, asked: upstream.asked.slice(before).map(({ request }) => request) }
}

t.test('an upstream that knows no ranges any more gives whole what is here in part', async t => {
  const { pulled, asked } = await withoutRanges(answer => answer)
  isRight(t, pulled)
  t.match(asked, [{ lastByte: Number }, {}, { offset: 0 }])
  t.equal(asked.length, 3)
})

t.test('R87: what is here is not bought over and over where ranges are refused', async t => {
  const { pulled, asked } = await withoutRanges((answer, body, hereBytes) => ({
    ...answer,
    body: cut(body(0, hereBytes + MiB)),
  }))
  t.ok(pulled.error instanceof Error, 'the reader is told')
  t.equal(asked.filter(({ offset }) => offset === 0).length, 1)
})

t.test('R86: a stop in the middle parks what has no gap', async t => {
  const { upstream, engine } = setUp()
  await listBlob(engine)
  const answer = await engine.registry.pullBlob(app, DIGEST)
  await engine.clock.advance(700)
  t.ok(upstream.counts.reading > 1, 'several are on their way')
  await engine.registry.stop()
  await answer.close()
  t.equal(upstream.counts.reading, 0, 'no connection is left')
  const part = engine.disk.parts.get(DIGEST)
  t.ok(part !== undefined && part.bytes.length > 0)
  t.ok(Buffer.from(part?.bytes ?? []).equals(BYTES.subarray(0, part?.bytes.length)))
  t.equal(part?.ahead.size, 0)
})

t.test('R126: a disk that fills up in the middle costs the caching, not the answer', async t => {
  const { upstream, engine } = setUp()
  await listBlob(engine)
  const shrink = engine.clock.sleep(600).then(() => {
    engine.disk.capacityBytes = 12 * MiB
  })
  const pulled = await pullFrom(engine, upstream)
  await shrink
  t.equal(pulled.error, undefined)
  t.ok(pulled.body.equals(BYTES))
  t.equal(engine.disk.blobs.size, 0)
})

t.test('one connection in all is enough', async t => {
  const pulled = await pull({ engine: { connections: 1 }, bytesPerMs: 50_000 })
  isRight(t, pulled)
  areOnce(t, pulled)
  t.equal(pulled.upstream.counts.readingMost, 1)
})

function lastBytes({ asked }: ReturnType<typeof rangedUpstream>): (number | undefined)[] {
  return asked.map(({ request }) => request.lastByte)
}

/** As if nobody had ever pulled it, but for what is known of the upstream. */
async function forget({ disk, catalog }: Engine): Promise<void> {
  disk.blobs.clear()
  await catalog.forgetContent(DIGEST)
}

/** 200 instead of 206. */
function whole({ totalBytes, validator }: UpstreamBlob, body: MakeBody): UpstreamBlob {
  return { offset: 0, totalBytes, validator, body: body(0, BYTES.length - 1) }
}

async function* cut(body: AsyncIterable<Uint8Array>) {
  yield* body
  throw new UpstreamError('unavailable', 'the connection broke')
}

/** Every write of a fill that begins in this time takes until its end. */
function standingStill(
  store: BlobStore,
  clock: () => Clock,
  { fromMs, toMs }: { fromMs: number; toMs: number },
): BlobStore {
  const still = async () => {
    const nowMs = clock().monotonicMs()
    if (nowMs >= fromMs) await clock().sleep(toMs - nowMs)
  }
  return aroundFills(store, {
    append: append => chunk => still().then(() => append(chunk)),
    writeAhead: writeAhead => (at, chunks) => still().then(() => writeAhead(at, chunks)),
  })
}

/** Nothing more comes, and the connection stays open. */
async function* hanging(body: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined) {
  yield* body
  await new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason))
  })
}

async function* flipped(body: AsyncIterable<Uint8Array>, index: number) {
  let at = 0
  for await (const chunk of body) {
    const inside = index - at
    if (inside >= 0 && inside < chunk.length) chunk[inside] = (chunk[inside] ?? 0) ^ 1
    at += chunk.length
    yield chunk
  }
}
