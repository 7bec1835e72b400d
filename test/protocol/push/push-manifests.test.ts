// Goal: what a client pushes as a manifest is there, byte for byte and in every list, from its
// answer on; what is wrong with it is told by the right code; and what is deleted is gone. Method:
// the whole edge in process over its real store and catalog, and a raw client.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startPair } from '../../kit/worlds/edge-over-stub.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import {
  type Document,
  document,
  type Image,
  makeArtifact,
  makeImage,
  makeIndex,
  MEDIA_TYPES,
} from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { errorCodeOf, locationOf } from '../../kit/clients/raw-push.ts'
import type { RawAnswer } from '../../kit/clients/raw-client.ts'

const APP = 'localhost/team/app'
const image = makeImage({ seed: 'pushed', layers: [1_000, 2_000] })
const { manifest } = image
const OCI = MEDIA_TYPES.oci.manifest

function put(edge: TestEdge, repository: string, reference: string, pushed: Document) {
  const headers = { 'content-type': pushed.mediaType }
  return edge.send('PUT', `/v2/${repository}/manifests/${reference}`, {
    headers,
    body: pushed.bytes,
  })
}

async function pushParts(edge: TestEdge, repository: string, image: Image): Promise<void> {
  for (const child of image.children) {
    await pushParts(edge, repository, child)
    await put(edge, repository, child.manifest.digest, child.manifest)
  }
  if (image.children.length > 0) return
  for (const blob of [image.config, ...image.layers])
    if ((await pushBlob(edge, repository, blob.bytes())).status !== 201)
      throw new Error('a blob was refused')
}

async function push(edge: TestEdge, repository: string, image: Image, reference: string) {
  await pushParts(edge, repository, image)
  return put(edge, repository, reference, image.manifest)
}

const tagsOf = async (edge: TestEdge, repository = APP) =>
  (
    JSON.parse((await edge.get(`/v2/${repository}/tags/list`)).body.toString()) as {
      tags: string[]
    }
  ).tags
const catalogOf = async (edge: TestEdge) =>
  (JSON.parse((await edge.get('/v2/_catalog')).body.toString()) as { repositories: string[] })
    .repositories

/** One at a time, along the links. */
async function pagedCatalog(edge: TestEdge): Promise<readonly string[]> {
  const seen: string[] = []
  for (let path: string | undefined = '/v2/_catalog?n=1'; path !== undefined; ) {
    const { body, headers } = await edge.get(path)
    seen.push(...(JSON.parse(body.toString()) as { repositories: string[] }).repositories)
    path = headers['link']?.match(/^<(.*)>/)?.[1]
  }
  return seen
}

const referrersOf = async (edge: TestEdge, digest: string, repository = APP) => {
  const { body } = await edge.get(`/v2/${repository}/referrers/${digest}`)
  return (JSON.parse(body.toString()) as { manifests: { digest: string }[] }).manifests
}
const get = (edge: TestEdge, reference: string, repository = APP) =>
  edge.get(`/v2/${repository}/manifests/${reference}`)

function withConfigData(data: string): Document {
  const config = { mediaType: 'application/json', digest: image.config.digest, size: 7, data }
  return document(OCI, { schemaVersion: 2, config, layers: [] })
}

/** Status and code of a refusal. */
function refusalOf(answer: RawAnswer): readonly [number, string | undefined] {
  return [answer.status, errorCodeOf(answer)]
}

t.test(
  'R111, R115: a pushed manifest is there at once, by tag, by digest and in every list',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    const answer = await push(edge, APP, image, 'v1')
    t.match(answer, {
      status: 201,
      headers: {
        location: `/v2/${APP}/manifests/${manifest.digest}`,
        'docker-content-digest': manifest.digest,
        'oci-subject': undefined,
      },
    })
    for (const path of [`/v2/${APP}/manifests/v1`, locationOf(answer)]) {
      for (const method of ['HEAD', 'GET']) {
        const found = await edge.send(method, path)
        t.match(found, {
          status: 200,
          headers: {
            'content-type': OCI,
            'content-length': `${manifest.bytes.length}`,
            'docker-content-digest': manifest.digest,
            'x-entrepot-source': 'local',
          },
        })
        if (method === 'GET') t.same(found.body, manifest.bytes)
      }
    }
    t.same(await tagsOf(edge), ['v1'])
    const { body } = await edge.get('/v2/_catalog')
    t.same(JSON.parse(body.toString()), { repositories: [APP] })
  },
)

t.test('R111: a bare name is kept here, under the name that it was pushed by', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const answer = await push(edge, 'my-alpine', image, 'v1')
  t.equal(answer.status, 201)
  t.equal(locationOf(answer), `/v2/my-alpine/manifests/${manifest.digest}`)
  t.equal((await get(edge, 'v1', 'my-alpine')).status, 200)
  t.equal((await get(edge, 'v1', 'localhost/my-alpine')).status, 200)
})

t.test(
  'R286: the catalog lists names as they are pushed here, and both forms are pulled',
  async t => {
    for (const [config, pushed, listed] of [
      [{}, ['my-alpine', 'localhost/team/app'], ['my-alpine', 'localhost/team/app']],
      [
        { default: 'localhost' },
        ['command/images', 'localhost/docker.io/x', 'z'],
        ['command/images', 'localhost/docker.io/x', 'z'],
      ],
    ] as const) {
      const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, config })
      for (const name of pushed) t.equal((await push(edge, name, image, 'v1')).status, 201, name)
      t.same(await catalogOf(edge), listed)
      for (const name of listed) {
        const bare = name.replace(/^localhost\//, '')
        t.equal((await get(edge, 'v1', name)).status, 200, name)
        t.equal((await get(edge, 'v1', `localhost/${bare}`)).status, 200, `localhost/${bare}`)
      }
      t.same(
        await pagedCatalog(edge),
        listed,
        'page by page as well, each beginning behind the last',
      )
    }
  },
)

t.test('R285: a repository whose last manifest is deleted stays, with an empty list', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-emptied-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const stub = await startStub(t)
  const options = {
    directory,
    upstreams: { ...NO_UPSTREAM, 'registry.example': { url: stub.url } },
    config: { repositories: [{ match: 'registry.example/**', push: 'store', delete: true }] },
  }
  const first = await startTestEdge(t, options)
  for (const name of [APP, 'registry.example/team/kept']) {
    await push(first, name, image, 'v1')
    const removed = await first.send('DELETE', `/v2/${name}/manifests/${manifest.digest}`)
    t.equal(removed.status, 202)
    t.match(await first.get(`/v2/${name}/tags/list`), { status: 200 }, name)
    t.same(await tagsOf(first, name), [], name)
  }
  const listed = [APP, 'registry.example/team/kept']
  t.same(await catalogOf(first), listed)
  t.equal((await first.get('/v2/localhost/never/tags/list')).status, 404)
  t.equal((await first.get('/v2/registry.example/never/tags/list')).status, 404)
  await first.stop()
  const second = await startTestEdge(t, options)
  t.same(await catalogOf(second), listed, 'after a restart')
  t.same(await tagsOf(second), [])
})

t.test(
  'R79, R80, R111: a pushed subject is named, its referrers are listed until they are deleted',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    const signature = makeArtifact({ seed: 's', subject: image.descriptor })
    await pushParts(edge, APP, signature)
    const { digest } = signature.manifest
    const answer = await put(edge, APP, digest, signature.manifest)
    t.match(answer, { status: 201, headers: { 'oci-subject': manifest.digest } })
    t.match(await referrersOf(edge, manifest.digest), [{ digest }])
    await push(edge, APP, image, 'v1')
    t.match(await referrersOf(edge, manifest.digest), [{ digest }])
    await edge.send('DELETE', `/v2/${APP}/manifests/${digest}`)
    t.same(await referrersOf(edge, manifest.digest), [])
  },
)

t.test('R112: tags of the query all point to the manifest', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  await pushParts(edge, APP, image)
  const query = Array.from({ length: 10 }, (_, n) => `tag=t${n}`).join('&')
  const answer = await put(edge, APP, `${manifest.digest}?${query}`, manifest)
  t.equal(answer.status, 201)
  t.equal((await tagsOf(edge)).length, 10)
  t.match(await get(edge, 't9'), { headers: { 'docker-content-digest': manifest.digest } })
  const many = Array.from({ length: 60 }, (_, n) => `tag=m${n}`).join('&')
  t.equal((await put(edge, APP, `${manifest.digest}?${many}`, manifest)).status, 414)
  t.equal((await tagsOf(edge)).length, 10)
})

t.test(
  'R113, R288: what a manifest lists has to be in its repository, and each blob that is not has an error',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    await push(edge, 'localhost/other', image, 'v1')
    const answer = await put(edge, APP, 'v1', manifest)
    t.same(refusalOf(answer), [400, 'MANIFEST_BLOB_UNKNOWN'])
    const digests = [image.config, ...image.layers].map(({ digest }) => digest)
    const { errors } = JSON.parse(answer.body.toString()) as { errors: { message: string }[] }
    t.match(
      errors,
      digests.map(digest => ({ code: 'MANIFEST_BLOB_UNKNOWN', detail: { digest } })),
    )
    t.equal(errors.length, digests.length)
    for (const [at, { message }] of errors.entries()) t.match(message, digests[at])
    t.same(refusalOf(await get(edge, 'v1')), [404, 'MANIFEST_UNKNOWN'])
    const index = makeIndex([image])
    t.same(refusalOf(await put(edge, APP, 'v1', index.manifest)), [400, 'MANIFEST_BLOB_UNKNOWN'])
  },
)

t.test(
  'R113: where the configuration says sparse, an index comes without its manifests',
  async t => {
    const edge = await startTestEdge(t, {
      upstreams: NO_UPSTREAM,
      config: { repositories: [{ match: 'localhost/sparse/**', push: 'store', sparse: true }] },
    })
    const index = makeIndex([image])
    t.equal((await put(edge, 'localhost/sparse/app', 'v1', index.manifest)).status, 201)
    t.same(refusalOf(await put(edge, APP, 'v1', index.manifest)), [400, 'MANIFEST_BLOB_UNKNOWN'])
  },
)

t.test(
  'R111, R114, R185: what is wrong with a manifest is told by its code, and nothing of it stays',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    await pushParts(edge, APP, image)
    const wrong: [string, Document, [number, string]][] = [
      [digestOf(Buffer.from('x')), manifest, [400, 'DIGEST_INVALID']],
      [digestOf(Buffer.from('x'), 'sha512'), manifest, [400, 'DIGEST_INVALID']],
      ['sha256:xyz', manifest, [400, 'DIGEST_INVALID']],
      ['.v1', manifest, [400, 'TAG_INVALID']],
      ['v1', { ...manifest, bytes: Buffer.from('{') }, [400, 'MANIFEST_INVALID']],
      ['v1', { ...manifest, mediaType: MEDIA_TYPES.docker.manifest }, [400, 'MANIFEST_INVALID']],
      ['v1', withConfigData('no base64'), [400, 'MANIFEST_INVALID']],
    ]
    // A body that is refused for its length is waited for a while before the connection goes.
    for (const [reference, pushed, expected] of wrong)
      t.same(refusalOf(await edge.settle(put(edge, APP, reference, pushed))), expected)
    const untyped = await edge.send('PUT', `/v2/${APP}/manifests/v1`, { body: manifest.bytes })
    t.same(refusalOf(untyped), [400, 'MANIFEST_INVALID'])
    t.same(refusalOf(await edge.get(`/v2/${APP}/tags/list`)), [404, 'NAME_UNKNOWN'])
  },
)

t.test(
  'R289: an index whose embedded data is longer than its size is taken, with a warning',
  async t => {
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
    await push(edge, APP, image, 'v1')
    const data = Buffer.concat([manifest.bytes, Buffer.from('\n')]).toString('base64')
    const index = document(MEDIA_TYPES.oci.index, {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.oci.index,
      manifests: [{ ...image.descriptor, data }],
    })
    const answer = await put(edge, APP, 'modified', index)
    t.match(answer, { status: 201, headers: { warning: /^299 - "data of manifests\[0\] has / } })
    t.same((await get(edge, 'modified')).body, index.bytes)
  },
)

t.test('R116: where pushes are denied, the answer names the way out', async t => {
  const { edge, stub } = await startPair(t)
  const answer = await put(edge, 'docker.io/team/app', 'v1', manifest)
  t.same(refusalOf(answer), [403, 'DENIED'])
  t.match(answer.body.toString(), /localhost\/team\/app/)
  t.equal(stub.requests.length, 0)
})

t.test('R118: a tag goes alone, a manifest with its tags, a blob from its repository', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  for (const tag of ['v1', 'v2', 'v3']) await push(edge, APP, image, tag)
  const remove = (path: string) => edge.send('DELETE', `/v2/${APP}/${path}`)
  t.equal((await remove('manifests/v1')).status, 202)
  t.same(refusalOf(await get(edge, 'v1')), [404, 'MANIFEST_UNKNOWN'])
  t.same(refusalOf(await remove('manifests/v1')), [404, 'MANIFEST_UNKNOWN'])
  t.same(await tagsOf(edge), ['v2', 'v3'])
  t.equal((await get(edge, manifest.digest)).status, 200)
  t.equal((await remove(`manifests/${manifest.digest}`)).status, 202)
  for (const each of ['v2', 'v3', manifest.digest])
    t.same(refusalOf(await get(edge, each)), [404, 'MANIFEST_UNKNOWN'])
  t.same(refusalOf(await remove(`manifests/${manifest.digest}`)), [404, 'MANIFEST_UNKNOWN'])
  const { digest } = image.config
  t.equal((await remove(`blobs/${digest}`)).status, 202)
  t.same(refusalOf(await edge.get(`/v2/${APP}/blobs/${digest}`)), [404, 'BLOB_UNKNOWN'])
  t.same(refusalOf(await put(edge, APP, 'v1', manifest)), [400, 'MANIFEST_BLOB_UNKNOWN'])
})

t.test('R255: with an image go the layers that only it lists', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const base = makeImage({ seed: 'pushed', layers: [1_000] })
  for (const each of [image, base]) await push(edge, APP, each, 'v1')
  const [shared, own] = image.layers.map(({ digest }) => `/v2/${APP}/blobs/${digest}`)
  const ask = async (method: string, path = '') => (await edge.send(method, path)).status
  for (const path of [shared, own]) t.equal(await ask('GET', path), 200)
  t.equal(await ask('DELETE', `/v2/${APP}/manifests/${manifest.digest}`), 202)
  for (const method of ['GET', 'HEAD'])
    t.same([await ask(method, own), await ask(method, shared)], [404, 200], method)
  t.same([await ask('DELETE', own), await ask('DELETE', own)], [202, 404])
})

t.test('R118: CVE-2026-41888: with deleting switched off, tags are no exception', async t => {
  const edge = await startTestEdge(t, {
    upstreams: NO_UPSTREAM,
    config: { storage: { delete: { enabled: false } } },
  })
  await push(edge, APP, image, 'v1')
  for (const path of [
    'manifests/v1',
    'manifests/never',
    `manifests/${manifest.digest}`,
    `blobs/${image.config.digest}`,
  ])
    t.same(refusalOf(await edge.send('DELETE', `/v2/${APP}/${path}`)), [405, 'UNSUPPORTED'])
  const { body } = await edge.send('DELETE', `/v2/${APP}/manifests/v1`)
  const told = /set storage\.delete\.enabled: true, or delete: true in a rule/
  t.match(body.toString(), told, 'it is said what to set')
  t.equal((await get(edge, 'v1')).status, 200)
})

t.test(
  'R118, R179: CVE-2026-35172: what was deleted does not come back, whatever lists it and whatever is lost',
  async t => {
    const directory = await mkdtemp(join(tmpdir(), 'entrepot-push-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    const before = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory })
    const { digest } = image.config
    await push(before, 'localhost/other', image, 'v1')
    await push(before, APP, makeIndex([image]), 'v1')
    await before.send('DELETE', `/v2/${APP}/blobs/${digest}`)
    await before.send('DELETE', `/v2/${APP}/manifests/${manifest.digest}`)
    const assertGone = async (edge: TestEdge) => {
      t.same(refusalOf(await edge.get(`/v2/${APP}/blobs/${digest}`)), [404, 'BLOB_UNKNOWN'])
      t.same(refusalOf(await get(edge, manifest.digest)), [404, 'MANIFEST_UNKNOWN'])
      t.equal((await edge.get(`/v2/localhost/other/blobs/${digest}`)).status, 200)
      t.equal((await get(edge, 'v1', 'localhost/other')).status, 200)
      t.same(await tagsOf(edge), ['v1'])
    }
    await assertGone(before)
    await before.stop()
    await Promise.all(
      ['catalog.db', 'catalog.db-wal', 'catalog.db-shm'].map(name =>
        rm(join(before.dataDirectory, name), { force: true }),
      ),
    )
    const after = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory })
    await assertGone(after)
    t.equal((await push(after, APP, image, 'v2')).status, 201)
    t.equal((await get(after, 'v2')).status, 200)
  },
)

t.test('R119: deleting a proxied name is for this edge alone', async t => {
  const { edge, stub } = await startPair(t, {
    images: { v1: image },
    edge: { config: { repositories: [{ match: 'docker.io/**', push: 'deny', delete: true }] } },
  })
  const path = `/v2/library/app/manifests/${manifest.digest}`
  t.equal((await edge.get('/v2/library/app/manifests/v1')).status, 200)
  t.equal((await edge.send('DELETE', path)).status, 202)
  t.same(refusalOf(await edge.send('DELETE', path)), [404, 'MANIFEST_UNKNOWN'])
  t.ok(stub.requests.every(({ method }) => method === 'GET' || method === 'HEAD'))
  t.equal((await edge.get(path)).status, 200)
})

t.test('R115: of pushes that race for one tag one stays, and every manifest is there', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const images = Array.from({ length: 12 }, (_, n) =>
    makeImage({ seed: `race ${n}`, layers: [100] }),
  )
  for (const each of images) await pushParts(edge, APP, each)
  const answers = await Promise.all(images.map(each => put(edge, APP, 'v1', each.manifest)))
  t.ok(answers.every(({ status }) => status === 201))
  for (const each of images) t.equal((await get(edge, each.manifest.digest)).status, 200)
  const first = await get(edge, 'v1')
  t.ok(images.some(each => each.manifest.bytes.equals(first.body)))
})

t.test('R116: a forwarded manifest is at the upstream before its client is told so', async t => {
  const { edge, stub } = await startPair(t, {
    edge: { config: { repositories: [{ match: 'docker.io/**', push: 'forward' }] } },
  })
  const repository = 'docker.io/team/app'
  t.equal((await push(edge, repository, image, 'v1')).status, 201)
  t.same(stub.manifest('team/app', 'v1')?.bytes, manifest.bytes)
  t.match(await get(edge, 'v1', repository), { headers: { 'x-entrepot-source': 'hit' } })
  t.same(await tagsOf(edge, repository), ['v1'])
  const signature = makeArtifact({ seed: 's', subject: image.descriptor })
  t.match(await push(edge, repository, signature, 'signed'), {
    status: 201,
    headers: { 'oci-subject': manifest.digest },
  })
  stub.fault({ kind: 'manifest', method: 'PUT' }, { status: 401 })
  const newer = makeImage({ seed: 'newer', layers: [10] })
  const denied = await edge.settle(push(edge, repository, newer, 'v1'))
  t.same(refusalOf(denied), [403, 'DENIED'])
  t.match(denied.body.toString(), /docker\.io/)
  t.equal(denied.headers['www-authenticate'], undefined)
  t.match(await get(edge, 'v1', repository), {
    headers: { 'docker-content-digest': manifest.digest },
  })
})

t.test('R112: further tags of a forwarded manifest are at the upstream as well', async t => {
  const { edge, stub } = await startPair(t, {
    edge: { config: { repositories: [{ match: 'docker.io/**', push: 'forward' }] } },
  })
  const repository = 'docker.io/team/app'
  const answer = await push(edge, repository, image, `${manifest.digest}?tag=v1&tag=v2`)
  t.match(answer, { status: 201, headers: { 'oci-tag': 'v1, v2' } })
  for (const tag of ['v1', 'v2']) t.same(stub.manifest('team/app', tag)?.bytes, manifest.bytes, tag)
})

t.test(
  'R77: for an upstream that has no referrers API the list is kept there under its tag',
  async t => {
    const { edge, stub } = await startPair(t, {
      stub: { behaviour: { referrers: 'none' } },
      edge: { config: { repositories: [{ match: 'docker.io/**', push: 'forward' }] } },
    })
    const repository = 'docker.io/team/app'
    const signature = makeArtifact({ seed: 's', subject: image.descriptor })
    await pushParts(edge, repository, signature)
    const { digest } = signature.manifest
    const answer = await put(edge, repository, digest, signature.manifest)
    t.match(answer, { status: 201, headers: { 'oci-subject': manifest.digest } })
    const second = makeArtifact({ seed: 'second', subject: image.descriptor })
    await push(edge, repository, second, second.manifest.digest)
    await push(edge, repository, signature, digest)
    const tag = manifest.digest.replace(':', '-')
    const list = stub.manifest('team/app', tag)
    t.equal(list?.mediaType, MEDIA_TYPES.oci.index)
    t.match(JSON.parse(String(list?.bytes)), {
      manifests: [{ digest }, { digest: second.manifest.digest }],
    })
    t.match(await referrersOf(edge, manifest.digest, repository), [{ digest }, {}])
  },
)

t.test(
  'R116: a queued manifest is pulled here at once, and is at the upstream when that answers',
  async t => {
    const { edge, stub } = await startPair(t, {
      edge: { config: { repositories: [{ match: 'docker.io/**', push: 'queue' }] } },
    })
    const repository = 'docker.io/team/app'
    stub.fault({}, { status: 503 })
    const settled = await edge.settle(push(edge, repository, image, 'v1'))
    t.equal(settled.status, 201)
    t.match(await get(edge, 'v1', repository), {
      status: 200,
      headers: { 'x-entrepot-source': 'local', age: undefined },
    })
    t.same(await edge.settle(tagsOf(edge, repository)), ['v1'])
    stub.clearFaults()
    await edge.settle(edge.untilLogged('push delivered'), 3_600_000)
    t.same(stub.manifest('team/app', 'v1')?.bytes, manifest.bytes)
    t.match(await get(edge, 'v1', repository), { headers: { 'x-entrepot-source': 'hit' } })
    t.same(await tagsOf(edge, repository), ['v1'])
  },
)
