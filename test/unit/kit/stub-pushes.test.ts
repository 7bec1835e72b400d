// Goal: a stub registry takes pushes as a registry does, counts them, and fails where it is told
// to. Method: it is asked by node's own client, step by step.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { bytesContent } from '../../kit/content.ts'
import { makeImage } from '../../kit/image.ts'
import { createBarrier, failure } from '../../kit/stubs/stub-faults.ts'
import { type StubOptions, type StubRegistry, startStub } from '../../kit/stubs/stub-registry.ts'

const BLOB = bytesContent(Buffer.from('some bytes'))
const IMAGE = makeImage({ seed: 'stub pushes', layers: [10] })

async function stubFor(t: Pick<Tap, 'teardown'>, options: StubOptions = {}) {
  const stub = await startStub(t, options)
  return stub
}

type Tap = typeof t

function send(url: string, method: string, body?: Buffer | string, headers = {}) {
  return fetch(url, { method, headers, ...(body === undefined ? {} : { body }) })
}

function at(stub: StubRegistry, answer: Response, from: string): string {
  return new URL(answer.headers.get('location') ?? '', stub.url + from).href
}

const UPLOADS = '/v2/a/b/blobs/uploads/'

t.test('a blob comes in pieces, and each Location serves once', async t => {
  const stub = await stubFor(t)
  const first = at(stub, await send(stub.url + UPLOADS, 'POST'), UPLOADS)
  const patched = await send(first, 'PATCH', 'some ')
  t.equal(patched.status, 202)
  t.equal(patched.headers.get('range'), '0-4')
  const second = at(stub, patched, UPLOADS)
  t.equal((await send(first, 'PATCH', 'x')).status, 404, 'an old Location')
  const put = await send(`${second}&digest=${BLOB.digest}`, 'PUT', 'bytes')
  t.equal(put.status, 201)
  t.equal(put.headers.get('docker-content-digest'), BLOB.digest)
  t.same(stub.blob('a/b', BLOB.digest)?.bytes(), BLOB.bytes())
  t.equal(stub.openUploads(), 0)
  t.equal(stub.count({ kind: 'upload', method: 'PATCH' }), 2)
  t.same(
    stub.select({ kind: 'upload' }).map(({ bytesReceived }) => bytesReceived),
    [0, 5, 1, 5],
  )
})

t.test('a blob comes whole, with PUT or with POST; a wrong digest is refused', async t => {
  const stub = await stubFor(t)
  const upload = at(stub, await send(stub.url + UPLOADS, 'POST'), UPLOADS)
  t.equal((await send(`${upload}&digest=${BLOB.digest}`, 'PUT', 'other')).status, 400)
  t.equal(stub.blob('a/b', BLOB.digest), undefined)
  const posted = await send(`${stub.url}${UPLOADS}?digest=${BLOB.digest}`, 'POST', BLOB.bytes())
  t.equal(posted.status, 201)
  t.ok(stub.blob('a/b', BLOB.digest))
})

t.test('a blob is mounted from where it is, else an upload begins', async t => {
  const stub = await stubFor(t)
  stub.addBlob('c/d', BLOB)
  const mount = (from: string) =>
    send(`${stub.url}${UPLOADS}?mount=${BLOB.digest}&from=${from}`, 'POST')
  const missing = await mount('e/f')
  t.equal(missing.status, 202)
  t.equal((await send(at(stub, missing, UPLOADS), 'DELETE')).status, 204)
  t.equal(stub.openUploads(), 0)
  t.equal((await mount('c/d')).status, 201)
  t.ok(stub.blob('a/b', BLOB.digest))
})

t.test('every form of Location leads to the upload', async t => {
  for (const location of ['path', 'relative', 'absolute', 'schemeless', 'storage'] as const) {
    for (const state of [true, false]) {
      const stub = await stubFor(t, { push: { location, state } })
      const upload = at(stub, await send(stub.url + UPLOADS, 'POST'), UPLOADS)
      t.equal(new URL(upload).origin, location === 'storage' ? stub.storageUrl : stub.url)
      const put = `${upload}${state ? '&' : '?'}digest=${BLOB.digest}`
      t.equal((await send(put, 'PUT', BLOB.bytes())).status, 201, location)
    }
  }
})

t.test('a manifest is taken when its digest is right and what it names is here', async t => {
  const stub = await stubFor(t)
  const { manifest, config, layers } = IMAGE
  const put = (reference: string) =>
    send(`${stub.url}/v2/a/b/manifests/${reference}`, 'PUT', manifest.bytes, {
      'content-type': manifest.mediaType,
    })
  t.equal((await put('v1')).status, 400)
  for (const blob of [config, ...layers]) stub.addBlob('a/b', blob)
  t.equal((await put(digestOf(Buffer.from('other')))).status, 400)
  const answer = await put('v1')
  t.equal(answer.status, 201)
  t.equal(answer.headers.get('docker-content-digest'), manifest.digest)
  t.same(stub.manifest('a/b', 'v1'), manifest)
  const sparse = await stubFor(t, { push: { checksReferences: false } })
  const url = `${sparse.url}/v2/a/b/manifests/${manifest.digest}`
  const headers = { 'content-type': manifest.mediaType }
  t.equal((await send(url, 'PUT', manifest.bytes, headers)).status, 201)
})

t.test('a push needs a token for pull and push, and names that in its challenge', async t => {
  const stub = await stubFor(t, {
    auth: { scheme: 'bearer', withheld: ['repository:c/d:push'] },
  })
  const token = async (scope: string): Promise<string> => {
    const answer = await fetch(`${stub.url}/token?scope=${scope}`)
    return ((await answer.json()) as { token: string }).token
  }
  const post = async (path: string, scope: string): Promise<number> => {
    const headers = { authorization: `Bearer ${await token(scope)}` }
    return (await send(stub.url + path, 'POST', undefined, headers)).status
  }
  const refused = await send(`${stub.url}${UPLOADS}?mount=${BLOB.digest}&from=c/d`, 'POST')
  t.match(
    refused.headers.get('www-authenticate'),
    'scope="repository:a/b:pull,push repository:c/d:pull"',
  )
  t.equal(await post(UPLOADS, 'repository:a/b:pull'), 401)
  t.equal(await post(UPLOADS, 'repository:a/b:pull,push'), 202)
  t.equal(await post('/v2/c/d/blobs/uploads/', 'repository:c/d:pull,push'), 401, 'withheld')
})

t.test('faults: refused without effect, cut and untold, gone, and held', async t => {
  const stub = await stubFor(t)
  const start = async () => at(stub, await send(stub.url + UPLOADS, 'POST'), UPLOADS)
  const put = async (url: string) => send(`${url}&digest=${BLOB.digest}`, 'PUT', BLOB.bytes())

  stub.fault({ kind: 'upload', method: 'PUT' }, failure(403, 'DENIED'), { times: 1 })
  const upload = await start()
  t.equal((await put(upload)).status, 403)
  t.equal(stub.blob('a/b', BLOB.digest), undefined)

  stub.fault({ kind: 'upload', method: 'PUT' }, { takeCutAt: 4 }, { times: 1 })
  await t.rejects(put(upload))
  t.equal(stub.requests.at(-1)?.bytesReceived, 4)
  stub.fault({ kind: 'upload', method: 'PUT' }, { expireUpload: true }, { times: 1 })
  t.equal((await put(upload)).status, 404)

  stub.fault({ kind: 'upload', method: 'PUT' }, { dropConnection: true }, { times: 1 })
  await t.rejects(put(await start()))
  t.ok(stub.blob('a/b', BLOB.digest), 'it took effect')

  stub.deleteBlob('a/b', BLOB.digest)
  const hold = createBarrier(0)
  stub.fault({ kind: 'upload', method: 'PUT' }, { hold }, { times: 1 })
  const held = put(await start())
  await hold.reached
  t.equal(stub.blob('a/b', BLOB.digest), undefined)
  hold.release()
  t.equal((await held).status, 201)
})
