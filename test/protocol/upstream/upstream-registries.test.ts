// Goal: each well-known registry is pulled from as it is: its tokens, redirects, refusals and gaps
// (R154–R164). Method: for each, a stub with its habits; a whole pull through the client, and what
// it cost there.
import t from 'tap'
import type { ProfileName } from '../../kit/stubs/stub-profiles.ts'
import { patternBlob } from '../../kit/content.ts'
import { makeArtifact, makeImage } from '../../kit/image.ts'
import { NAME, LATEST, openUpstream, readAll, type Teardown } from '../../kit/open-upstream.ts'
import { startStub, type StubOptions } from '../../kit/stubs/stub-registry.ts'
import { parseName } from '../../../src/oci/reference.ts'

const IMAGE = makeImage({ seed: 'registries', layers: [10] })
const BLOB = patternBlob('registries', 300_000)

async function open(t: Teardown, profile: ProfileName, options: StubOptions = {}) {
  const stub = await startStub(t, { profile, ...options })
  stub.addImage(NAME, 'latest', IMAGE)
  stub.addImage(NAME, undefined, makeArtifact({ seed: 's', subject: IMAGE.descriptor }))
  stub.addBlob(NAME, BLOB)
  const credentials = { kind: 'basic', username: 'AWS', password: () => 'secret' } as const
  const { upstream, events } = openUpstream(t, stub.url + stub.behaviour.basePath, {
    realms: [new URL(stub.storageUrl).host],
    ...(profile === 'ecr' ? { credentials } : {}),
  })
  return { stub, upstream, events }
}

const PULLS: readonly (readonly [ProfileName, string, StubOptions?])[] = [
  ['docker.io', 'R154: Docker Hub'],
  ['ghcr.io', 'R155: GHCR'],
  ['quay.io', 'R156: Quay'],
  ['ecr', 'R157: ECR', { auth: { password: 'secret' } }],
  ['ecr-public', 'R157: ECR Public'],
  ['gcr', 'R158: Google'],
  ['registry.k8s.io', 'R159: registry.k8s.io'],
  ['mcr', 'R160: MCR'],
  ['acr', 'R161: ACR'],
  ['gitlab', 'R162: GitLab'],
  ['harbor', 'R163: Harbor'],
  ['artifactory', 'R164: Artifactory'],
]

for (const [profile, title, options] of PULLS) {
  t.test(`${title}: manifest, blob from any offset, size, tags and referrers`, async t => {
    const { stub, upstream } = await open(t, profile, options)
    t.ok(IMAGE.manifest.bytes.equals((await upstream.getManifest(NAME, LATEST)).bytes))
    t.same(await upstream.headBlob(NAME, BLOB.digest), { sizeBytes: BLOB.sizeBytes })
    for (const offset of [0, 123_456]) {
      const blob = await upstream.getBlob(NAME, BLOB.digest, { offset })
      t.match(blob, { offset, totalBytes: BLOB.sizeBytes })
      t.ok((await readAll(blob.body)).equals(BLOB.read(offset, BLOB.sizeBytes - offset)))
    }
    t.same((await upstream.listTags(NAME)).tags, ['latest'])
    const { manifests } = await upstream.listReferrers(NAME, IMAGE.manifest.digest)
    t.equal(manifests.length, stub.behaviour.referrers === 'none' ? 0 : 1)
    const toStorage = stub.select({ host: 'storage' })
    t.ok(toStorage.every(({ headers }) => headers.authorization === undefined))
    t.ok(stub.count({ kind: 'token' }) <= 3)
  })
}

t.test('R154: what is left of the rate limit is known, and a HEAD costs none of it', async t => {
  const { upstream, events } = await open(t, 'docker.io')
  t.equal(upstream.health().rateLimitRemaining, undefined)
  await upstream.getManifest(NAME, LATEST)
  const { rateLimitRemaining } = upstream.health()
  t.ok(rateLimitRemaining !== undefined && rateLimitRemaining >= 99)
  await upstream.headManifest(NAME, LATEST)
  t.ok((upstream.health().rateLimitRemaining ?? 0) >= 99)
  await upstream.getManifest(NAME, LATEST)
  const reported = events.flatMap(each =>
    each.kind === 'upstream rate limit' ? [each.remaining] : [],
  )
  t.equal(reported.at(-1), upstream.health().rateLimitRemaining)
})

t.test('R163: a name that Harbor moves to library is followed there', async t => {
  const { upstream } = await open(t, 'harbor')
  t.ok(await upstream.getManifest(parseName('alpine'), LATEST))
})
