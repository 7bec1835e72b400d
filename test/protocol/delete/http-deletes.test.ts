// Goal: what is deleted is gone at once, and where nothing may be deleted the answer says so for
// everything alike. Method: requests over loopback sockets to the real port over a registry in
// memory.
import t from 'tap'
import { DENIED } from '../../../src/registry/routing/repository-policy.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'
import { createSend, errorCodeOf } from '../../kit/clients/raw-push.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const BYTES = Buffer.from('{"schemaVersion":2}')
const KEY = 'localhost/team/app'
const NAME = `/v2/${KEY}`

async function open(test: Parameters<typeof createTestApp>[0]) {
  const app = createTestApp(test)
  const add = (tag: string, key = KEY) =>
    app.registry.addManifest(key, { bytes: BYTES, mediaType: MANIFEST, tag })
  return { ...app, add, send: createSend(await app.listen()) }
}

t.test('R118: a tag goes alone, a manifest takes its tags along', async t => {
  const { send, add } = await open(t)
  add('v1')
  const digest = add('v2')
  const status = async (reference: string) =>
    (await send('GET', `${NAME}/manifests/${reference}`)).status
  const first = await send('DELETE', `${NAME}/manifests/v1`)
  t.equal(first.status, 202)
  t.equal(first.headers['content-length'], '0')
  t.same([await status('v1'), await status('v2'), await status(digest)], [404, 200, 200])
  t.equal((await send('DELETE', `${NAME}/manifests/${digest}`)).status, 202)
  t.same([await status('v2'), await status(digest)], [404, 404])
})

t.test('R118: a blob goes from its repository', async t => {
  const { send, registry } = await open(t)
  const digest = registry.addBlob(KEY, Buffer.from('a blob'))
  registry.addBlob('localhost/other', Buffer.from('a blob'))
  t.equal((await send('DELETE', `${NAME}/blobs/${digest}`)).status, 202)
  t.equal((await send('GET', `${NAME}/blobs/${digest}`)).status, 404)
  t.equal((await send('GET', `/v2/localhost/other/blobs/${digest}`)).status, 200)
})

t.test('R118: what is not there is 404, in words of its kind', async t => {
  const { send, add, registry } = await open(t)
  const digest = add('v1', 'localhost/other')
  registry.addBlob('localhost/other', Buffer.from('a blob'))
  for (const [target, code] of [
    [`${NAME}/manifests/v1`, 'MANIFEST_UNKNOWN'],
    [`${NAME}/manifests/${digest}`, 'MANIFEST_UNKNOWN'],
    [`${NAME}/blobs/${digest}`, 'BLOB_UNKNOWN'],
  ] as const) {
    const answer = await send('DELETE', target)
    t.equal(answer.status, 404, target)
    t.equal(errorCodeOf(answer), code)
  }
})

t.test(
  'R118: where nothing may be deleted, tags, manifests and blobs are 405 alike, there or not',
  async t => {
    const { send, add, registry, untilCompleted } = await open(t)
    registry.policy = () => ({ ...DENIED, push: 'store' })
    const digest = add('v1')
    const blob = registry.addBlob(KEY, Buffer.from('a blob'))
    for (const [target, allow] of [
      ['manifests/v1', 'GET, HEAD, PUT'],
      ['manifests/v2', 'GET, HEAD, PUT'],
      [`manifests/${digest}`, 'GET, HEAD, PUT'],
      [`blobs/${blob}`, 'GET, HEAD'],
      [`blobs/${digest}`, 'GET, HEAD'],
    ] as const) {
      const answer = await send('DELETE', `${NAME}/${target}`)
      t.equal(answer.status, 405, target)
      t.equal(errorCodeOf(answer), 'UNSUPPORTED')
      t.equal(answer.headers['allow'], allow)
    }
    t.same(registry.calls, [])
    t.equal((await send('GET', `${NAME}/manifests/v1`)).status, 200)
    t.match((await untilCompleted(1))[0], { status: 405, errorCode: 'UNSUPPORTED' })
  },
)

t.test('R107, R118: an upload can be cancelled where nothing may be deleted', async t => {
  const { send, registry } = await open(t)
  registry.policy = () => ({ ...DENIED, push: 'store' })
  const started = await send('POST', `${NAME}/blobs/uploads/`)
  t.equal((await send('DELETE', started.headers['location'] ?? '')).status, 204)
})
