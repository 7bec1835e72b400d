// Goal: an error that crosses between threads is the same error on the other side, for whoever
// answers a client and for the log. Method: each class of error through the clone that a
// MessagePort makes.
import { once } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import { RegistryError } from '../../../src/oci/errors.ts'
import { UploadOrderError } from '../../../src/registry/answers.ts'
import { StoreError } from '../../../src/registry/ports/store-error.ts'
import { UpstreamError } from '../../../src/registry/ports/upstream.ts'
import { decodeError, encodeError, type ErrorValue } from '../../../src/threads/error-value.ts'

async function cross(error: unknown): Promise<Error> {
  const { port1, port2 } = new MessageChannel()
  port1.postMessage(encodeError(error))
  const [value] = (await once(port2, 'message')) as [ErrorValue]
  port1.close()
  return decodeError(value)
}

t.test('RegistryError: code, status, detail, Retry-After and cause arrive', async t => {
  const cause = new UpstreamError('rate-limited', 'slow down', {
    hint: 'log in',
    retryAfterMs: 1_500,
    status: 429,
    repositoryUnknown: true,
    code: 'TOOMANYREQUESTS',
    sanitizedMessage: 'too many',
  })
  const sent = new RegistryError('UNAVAILABLE', 'come back', {
    status: 504,
    detail: { tag: ['a', 1] },
    further: [{ message: 'and so is this', detail: { digest: 'd' } }],
    retryAfterSeconds: 7,
    cause,
  })
  const came = await cross(sent)
  t.ok(came instanceof RegistryError)
  t.match(came, {
    name: 'RegistryError',
    message: 'come back',
    code: 'UNAVAILABLE',
    status: 504,
    detail: { tag: ['a', 1] },
    further: [{ message: 'and so is this', detail: { digest: 'd' } }],
    retryAfterSeconds: 7,
    stack: sent.stack,
  })
  t.ok(came.cause instanceof UpstreamError)
  const arrived = came.cause as UpstreamError
  for (const key of ['message', 'name', ...Object.keys(cause)] as (keyof UpstreamError)[]) {
    t.same(arrived[key], cause[key], key)
  }
})

t.test('RegistryError: what was left out stays left out', async t => {
  const came = (await cross(new RegistryError('BLOB_UNKNOWN'))) as RegistryError
  t.same([came.detail, came.retryAfterSeconds, came.cause], [undefined, undefined, undefined])
  t.equal(came.status, 404)
})

t.test('UploadOrderError: the state that the client goes on from arrives', async t => {
  const came = await cross(new UploadOrderError('not there', { id: 'u1', sizeBytes: 5 }))
  t.ok(came instanceof UploadOrderError)
  t.match(came, { status: 416, state: { id: 'u1', sizeBytes: 5 } })
})

t.test('StoreError: failure, hint and what there was room for arrive', async t => {
  const room = { wantedBytes: 7, freeBytes: 5 }
  const facts = { hint: 'free some', room, isPassing: true }
  const came = await cross(new StoreError('full', 'no room', facts))
  t.ok(came instanceof StoreError)
  t.match(came, { name: 'StoreError', failure: 'full', message: 'no room', ...facts })
  const bare = (await cross(new StoreError('io', 'broken'))) as StoreError
  t.same(
    [bare.hint, bare.room, bare.isPassing, bare.cause],
    [undefined, undefined, false, undefined],
  )
})

t.test(
  'other errors: name, code and hint arrive, whatever else hangs on them does not',
  async t => {
    const sent = Object.assign(new TypeError('odd'), { code: 'EODD', hint: 'look', run: () => 1 })
    t.match(await cross(sent), { name: 'TypeError', message: 'odd', code: 'EODD', hint: 'look' })
    t.match(await cross('a text'), { name: 'Error', message: 'a text' })
  },
)

t.test('a chain of causes that goes round ends', async t => {
  const first = new Error('first')
  first.cause = new Error('second', { cause: first })
  const came = await cross(first)
  t.match(came.cause, { message: 'second', cause: { message: 'first' } })
})
