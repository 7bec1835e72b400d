// Goal: in forward mode the upstream has a blob before its client is told so; the client sends
// once, at the pace of the slower side, and does not notice when the way up breaks. Method: the
// engine over in-memory twins, with an upstream that takes, stops and fails when the test says so.
import t from 'tap'
import { type Digest, digestOf } from '../../../../src/oci/digest.ts'
import type { ErrorCode } from '../../../../src/oci/errors.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import {
  type Upstream,
  UpstreamError,
  type UpstreamErrorOptions,
  type UpstreamFailure,
} from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import {
  behindMirror,
  createEngine,
  readAll,
  rejection,
  repositoryOf,
} from '../../../kit/engine.ts'
import { chunkOf, heldBody, nothing, pushWhole } from '../../../kit/clients/upload-chunks.ts'
import { isMemberOf } from '../../../kit/judges/membership.ts'

const app = repositoryOf('team/app')
const sha256 = { algorithm: 'sha256' } as const
const policies = [{ match: 'docker.io/**', push: 'forward' as const }]

const fails =
  (failure: UpstreamFailure, options: UpstreamErrorOptions = {}) =>
  (): Promise<never> =>
    Promise.reject(new UpstreamError(failure, `upstream: ${failure}`, options))

/** An upstream that keeps what it is sent, by way of stream or disk. */
function takingUpstream(overrides: Partial<Upstream> = {}) {
  const blobs = new Map<Digest, string>()
  const calls: string[] = []
  const upstream: Partial<Upstream> = {
    headBlob: async (_name, digest) => {
      calls.push('head')
      const bytes = blobs.get(digest)
      if (bytes === undefined) throw new UpstreamError('not-found', 'no such blob')
      return { sizeBytes: bytes.length }
    },
    streamBlob: async (_name, body) => {
      calls.push('stream')
      let text = ''
      for await (const piece of body) text += String(piece)
      return {
        finish: async digest => {
          calls.push('finish')
          blobs.set(digest, text)
        },
        cancel: async () => void calls.push('cancel'),
      }
    },
    pushBlob: async (_name, source) => {
      calls.push('push')
      let text = ''
      for await (const piece of source.read()) text += String(piece)
      blobs.set(source.digest, text)
    },
    ...overrides,
  }
  return { upstream, blobs, calls }
}

t.test(
  'R293: who finishes once more what an outage refused is told of the outage again',
  async t => {
    const down = fails('unavailable')
    const { upstream } = takingUpstream({ headBlob: down, streamBlob: down, pushBlob: down })
    const { registry } = createEngine({ policies, upstream })
    const { id } = await registry.startUpload(app, sha256)
    const last = { digest: digestOf(Buffer.from('45')), chunk: chunkOf('45') }
    for (let times = 0; times < 2; times += 1)
      await t.rejects(registry.finishUpload(app, id, last), { code: 'UNAVAILABLE' })
    const elsewhere = registry.finishUpload(repositoryOf('team/other'), id, last)
    await t.rejects(elsewhere, { code: 'BLOB_UPLOAD_UNKNOWN' })
  },
)

t.test('R117: a client that comes back late is not waited for with an open request', async t => {
  const { upstream, blobs, calls } = takingUpstream()
  const { registry, clock } = createEngine({ policies, upstream })
  const { id } = await registry.startUpload(app, sha256)
  await registry.appendUpload(app, id, chunkOf('01'))
  await clock.advance(59_000)
  await registry.appendUpload(app, id, chunkOf('23'))
  await clock.advance(60_000)
  const digest = digestOf(Buffer.from('012345'))
  await registry.finishUpload(app, id, { digest, chunk: chunkOf('45') })
  t.same(calls, ['stream', 'head', 'push'], 'the way up was given back after a minute')
  t.equal(blobs.get(digest), '012345', 'and the whole went from disk')
})

t.test(
  'R117: a client that leaves in the middle of its last piece holds no open request',
  async t => {
    const { upstream, calls } = takingUpstream({
      streamBlob: async (_name, body) => {
        for await (const _ of body) calls.push('piece')
        throw new UpstreamError('unavailable', 'it was not to end')
      },
    })
    const ended = Promise.withResolvers<void>()
    const { streamBlob } = upstream
    upstream.streamBlob = (...args) =>
      streamBlob?.(...args).catch((error: unknown) => {
        ended.resolve()
        throw error
      }) as never
    const { registry, clock } = createEngine({ policies, upstream })
    const { id } = await registry.startUpload(app, sha256)
    const digest = digestOf(Buffer.from('0123'))
    const chunk = { ...chunkOf('01'), body: cutAfter('01') }
    await rejection(registry.finishUpload(app, id, { digest, chunk }))
    await clock.advance(60_000)
    await ended.promise
    t.same(calls, ['head', 'piece'])
  },
)

async function* cutAfter(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
  throw new Error('the client left')
}

t.test('R117: a blob that comes in many pieces goes up as one stream', async t => {
  const { upstream, blobs, calls } = takingUpstream()
  const { registry, catalog, events } = createEngine({ policies, upstream })
  const { id } = await registry.startUpload(app, sha256)
  for (const piece of ['01', '23']) await registry.appendUpload(app, id, chunkOf(piece))
  const digest = digestOf(Buffer.from('012345'))
  await registry.finishUpload(app, id, { digest, chunk: chunkOf('45') })
  t.same(calls, ['stream', 'finish'])
  t.equal(blobs.get(digest), '012345')
  t.match(await catalog.findContent(digest), { contentClass: 'cached' })
  t.equal(String(await readAll(await registry.pullBlob(app, digest))), '012345')
  t.match(events.at(-1), { kind: 'pushed', mode: 'forward', sizeBytes: 6 })
})

t.test(
  'R117: what the upstream has already is not sent there, and still taken from the client',
  async t => {
    const { upstream, blobs, calls } = takingUpstream()
    const { registry } = createEngine({ policies, upstream })
    const digest = digestOf(Buffer.from('hello'))
    blobs.set(digest, 'hello')
    await pushWhole(registry, app, 'hello')
    t.same(calls, ['head'])
    const { id } = await registry.startUpload(app, sha256)
    const lie = { digest, chunk: chunkOf('HELLO') }
    await t.rejects(registry.finishUpload(app, id, lie), { code: 'DIGEST_INVALID' })
  },
)

t.test('R117: what only a mirror has is sent', async t => {
  const { upstream, blobs } = takingUpstream()
  const { registry, namespace } = createEngine({ policies, upstream })
  const mirror = { ...namespace.upstream, headBlob: async () => ({ sizeBytes: 5 }) }
  Object.assign(namespace, { upstream: behindMirror(namespace.upstream, mirror) })
  t.equal(blobs.get(await pushWhole(registry, app, 'hello')), 'hello')
})

t.test('R117: an empty blob is sent too', async t => {
  const { upstream, blobs } = takingUpstream()
  const { registry } = createEngine({ policies, upstream })
  t.equal(blobs.get(await pushWhole(registry, app, '')), '')
})

t.test(
  'R110, R117: a client that broke off and came back is one stream at the upstream',
  async t => {
    const { upstream, blobs, calls } = takingUpstream()
    const { registry } = createEngine({ policies, upstream })
    const { id } = await registry.startUpload(app, sha256)
    const broken = heldBody()
    const cut = rejection(registry.appendUpload(app, id, broken.chunk))
    await broken.bring('01')
    broken.breakOff(new Error('the client went away'))
    await cut
    const hanging = heldBody()
    const overtaken = rejection(registry.appendUpload(app, id, hanging.chunk))
    await hanging.bring('23')
    const digest = digestOf(Buffer.from('012345'))
    const chunk = chunkOf('45', { range: { first: 4, last: 5 } })
    await registry.finishUpload(app, id, { digest, chunk })
    await overtaken
    t.same(calls, ['stream', 'finish'])
    t.equal(blobs.get(digest), '012345')
  },
)

t.test(
  'R117: a client that came back with another digest gets that one to the upstream',
  async t => {
    const { upstream, blobs } = takingUpstream()
    const { registry } = createEngine({ policies, upstream })
    const first = digestOf(Buffer.from('012345'))
    blobs.set(first, '012345')
    const { id } = await registry.startUpload(app, sha256)
    const broken = heldBody()
    const cut = rejection(registry.finishUpload(app, id, { digest: first, chunk: broken.chunk }))
    await broken.bring('01')
    broken.breakOff(new Error('the client went away'))
    await cut
    const digest = digestOf(Buffer.from('01 and more'))
    await registry.finishUpload(app, id, { digest, chunk: chunkOf(' and more') })
    t.equal(blobs.get(digest), '01 and more')
  },
)

t.test('R117: the client is paced by an upstream that takes no more', async t => {
  const goOn = Promise.withResolvers<void>()
  const { upstream } = takingUpstream({
    streamBlob: async (_name, body) => {
      await goOn.promise
      for await (const _ of body);
      return { finish: async () => {}, cancel: async () => {} }
    },
  })
  const { registry } = createEngine({ policies, upstream })
  const { id } = await registry.startUpload(app, sha256)
  const body = heldBody()
  const appended = registry.appendUpload(app, id, body.chunk)
  let isTaken = false
  const taken = body.bring(Buffer.alloc(2 * 1024 * 1024)).then(() => (isTaken = true))
  await new Promise(setImmediate)
  t.notOk(isTaken, 'no more is asked of the client')
  goOn.resolve()
  await taken
  body.end()
  await appended
})

t.test('R110: a newer request does not wait for an upstream that stands still', async t => {
  const { upstream } = takingUpstream({ streamBlob: () => new Promise(() => {}) })
  const { registry } = createEngine({ policies, upstream })
  const { id } = await registry.startUpload(app, sha256)
  const body = heldBody()
  const older = rejection(registry.appendUpload(app, id, body.chunk))
  body.bring(Buffer.alloc(2 * 1024 * 1024)).catch(() => {})
  await new Promise(setImmediate)
  await registry.cancelUpload(app, id)
  t.match(await older, { status: 404 })
})

t.test(
  'R117: a stream that breaks is not noticed by the client, and the blob goes up from disk',
  async t => {
    const breaking: Partial<Upstream>[] = [
      { streamBlob: fails('unavailable') },
      { streamBlob: fails('denied') },
      {
        streamBlob: async (_name, body) => {
          for await (const _ of body) throw new UpstreamError('unavailable', 'cut')
          throw new Error('nothing came')
        },
      },
      ...(
        [
          ['unavailable', {}],
          ['not-found', { code: 'BLOB_UPLOAD_UNKNOWN' }],
          ['rejected', { code: 'BLOB_UPLOAD_INVALID' }],
          ['rejected', { code: 'DIGEST_INVALID' }],
        ] as const
      ).map(
        ([failure, options]): Partial<Upstream> => ({
          streamBlob: async (_name, body) => {
            for await (const _ of body);
            return { finish: fails(failure, options), cancel: async () => {} }
          },
        }),
      ),
    ]
    for (const broken of breaking) {
      const { upstream, blobs, calls } = takingUpstream(broken)
      const { registry } = createEngine({ policies, upstream })
      const { id } = await registry.startUpload(app, sha256)
      const big = Buffer.alloc(3 * 1024 * 1024, 'x')
      await registry.appendUpload(app, id, chunkOf(big))
      const digest = digestOf(Buffer.concat([big, Buffer.from('tail')]))
      await registry.finishUpload(app, id, { digest, chunk: chunkOf('tail') })
      t.same(calls, ['head', 'push'])
      t.equal(blobs.get(digest)?.length, big.length + 4)
    }
  },
)

t.test(
  'R117: a stream whose end was lost is asked about before anything is sent again',
  async t => {
    const { upstream, blobs, calls } = takingUpstream({
      streamBlob: async (_name, body) => {
        for await (const _ of body);
        return {
          finish: async digest => {
            blobs.set(digest, 'there')
            throw new UpstreamError('unavailable', 'the answer was lost')
          },
          cancel: async () => {},
        }
      },
    })
    const { registry } = createEngine({ policies, upstream })
    const { id } = await registry.startUpload(app, sha256)
    await registry.appendUpload(app, id, chunkOf('hello'))
    const digest = digestOf(Buffer.from('hello'))
    await registry.finishUpload(app, id, { digest, chunk: nothing() })
    t.same(calls, ['head'])
  },
)

t.test(
  'R92, R116: what the upstream says of the blob is what the client is told, never a 401',
  async t => {
    const verdicts: [UpstreamFailure, UpstreamErrorOptions, { code: ErrorCode; status: number }][] =
      [
        ['denied', { status: 401 }, { code: 'DENIED', status: 403 }],
        ['denied', { status: 403, sanitizedMessage: 'read only' }, { code: 'DENIED', status: 403 }],
        ['not-found', { repositoryUnknown: true }, { code: 'NAME_UNKNOWN', status: 404 }],
        ['rate-limited', { retryAfterMs: 2_000 }, { code: 'TOOMANYREQUESTS', status: 429 }],
        ['rate-limited', { retryAfterMs: 90_000 }, { code: 'UNAVAILABLE', status: 503 }],
        ['unavailable', {}, { code: 'UNAVAILABLE', status: 503 }],
        ['invalid', {}, { code: 'UNAVAILABLE', status: 502 }],
        ['refused', {}, { code: 'UNAVAILABLE', status: 502 }],
        ['unsupported', {}, { code: 'UNSUPPORTED', status: 405 }],
        ['rejected', { code: 'NAME_INVALID' }, { code: 'NAME_INVALID', status: 400 }],
        ['rejected', { code: 'UNAUTHORIZED' }, { code: 'DENIED', status: 403 }],
        ['rejected', { status: 413 }, { code: 'DENIED', status: 413 }],
        ['rejected', {}, { code: 'DENIED', status: 403 }],
      ]
    for (const [failure, options, expected] of verdicts) {
      const refusing = { streamBlob: fails('unavailable'), pushBlob: fails(failure, options) }
      const { upstream } = takingUpstream(refusing)
      const { registry, catalog, disk } = createEngine({ policies, upstream })
      const digest = digestOf(Buffer.from('hello'))
      const error = (await rejection(pushWhole(registry, app, 'hello'))) as Error
      t.match(error, expected, failure)
      t.match(error.message, /docker\.io/)
      t.notMatch(error.message, /upstream: /, 'its own text stays here')
      if (options.sanitizedMessage !== undefined) t.match(error.message, options.sanitizedMessage)
      t.notOk(await isMemberOf(catalog, app, digest), 'nothing is here that the upstream refused')
      t.equal(disk.uploads.size + disk.blobs.size, 0)
    }
  },
)

t.test('R92: the 403 names the namespace and whose credentials were refused', async t => {
  const { upstream } = takingUpstream({
    streamBlob: async (_name, body) => {
      for await (const _ of body);
      return { finish: fails('denied'), cancel: async () => {} }
    },
    pushBlob: () => Promise.reject(new Error('a verdict is not asked for twice')),
  })
  const { registry } = createEngine({ policies, upstream })
  const refused = pushWhole(registry, app, 'hello')
  const message = /docker\.io refused this edge's push to team\/app.*upstreams\.docker\.io/
  await t.rejects(refused, { code: 'DENIED', status: 403, message })
})

t.test('R116: an offline namespace takes no forwarded push, and says why', async t => {
  const { upstream } = takingUpstream()
  const { registry } = createEngine({ policies, upstream, policy: { offline: true } })
  const refused = registry.startUpload(app, sha256)
  await t.rejects(refused, { code: 'UNAVAILABLE', status: 503, message: /configured offline/ })
})

t.test('R99: an upload that a restart cut in two goes up from disk', async t => {
  const before = createEngine({ policies, upstream: takingUpstream().upstream })
  const { id } = await before.registry.startUpload(app, sha256)
  await before.registry.appendUpload(app, id, chunkOf('0123'))
  await before.registry.stop()
  const { upstream, blobs, calls } = takingUpstream()
  const { registry } = createEngine({ policies, upstream, after: before })
  const digest = digestOf(Buffer.from('012345'))
  await registry.finishUpload(app, id, { digest, chunk: chunkOf('45') })
  t.same(calls, ['head', 'push'])
  t.equal(blobs.get(digest), '012345')
})

t.test('R107: a cancelled upload gives its session at the upstream back', async t => {
  const ended = Promise.withResolvers<unknown>()
  const { upstream } = takingUpstream({
    streamBlob: async (_name, body, signal) => {
      signal?.addEventListener('abort', () => ended.resolve(signal.reason))
      for await (const _ of body);
      throw new Error('the stream was to be ended')
    },
  })
  const { registry } = createEngine({ policies, upstream })
  const { id } = await registry.startUpload(app, sha256)
  await registry.appendUpload(app, id, chunkOf('0123'))
  await registry.cancelUpload(app, id)
  t.match(await ended.promise, { message: 'the upload has ended' })
})

t.test('R236: a stop ends a push that waits for its upstream', async t => {
  const { upstream } = takingUpstream({
    streamBlob: fails('unavailable'),
    pushBlob: (_name, _source, signal) =>
      new Promise((_, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason as Error)),
      ),
  })
  const { registry } = createEngine({ policies, upstream })
  const refused = t.rejects(pushWhole(registry, app, 'hello'), { code: 'UNAVAILABLE' })
  await new Promise(setImmediate)
  await registry.stop()
  await refused
})

t.test('R126: what the upstream took is pushed, whatever the disk does with its copy', async t => {
  const { upstream, blobs } = takingUpstream()
  const { registry, events } = createEngine({
    policies,
    upstream,
    store: store =>
      around(store, {
        createUpload:
          createUpload =>
          async (...args) => {
            const file = await createUpload(...args)
            return Object.assign(file, {
              commit: async () => {
                await file.discard()
                throw new StoreError('full', 'no room')
              },
            })
          },
      }),
  })
  const digest = digestOf(Buffer.from('hello'))
  await t.rejects(registry.headBlob(app, digest), { code: 'BLOB_UNKNOWN' })
  await pushWhole(registry, app, 'hello')
  t.ok(blobs.has(digest))
  t.match(
    await registry.headBlob(app, digest),
    { sizeBytes: 5 },
    'and its earlier 404 is forgotten',
  )
  t.match(
    events.find(({ kind }) => kind === 'storage failed'),
    { failure: 'full' },
  )
})
