// Goal: a tag that the operator made immutable stays where it is, whichever way pushes go, and
// everything else about it works as before. Method: the engine over in-memory twins, with an
// upstream that is written in the test.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import { DOCKER_MANIFEST, OCI_MANIFEST } from '../../../../src/oci/media-type.ts'
import { parseTag } from '../../../../src/oci/reference.ts'
import { requireUnbound } from '../../../../src/registry/delete/require-unbound.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { createPolicies } from '../../../../src/registry/routing/repository-policies.ts'
import {
  createEngine,
  type EngineOptions,
  localOf,
  repositoryOf,
  ruleOf,
} from '../../../kit/engine.ts'
import { document, makeImage, makeIndex } from '../../../kit/image.ts'
import { createMemoryFacts } from '../../../kit/memory/facts.ts'
import {
  digested,
  pushDocument,
  pushImage,
  pushParts,
  tagged,
} from '../../../kit/clients/push-image.ts'
import { turnsDuring } from '../../../kit/threads/turns-during.ts'

const app = localOf('team/app')
const proxied = repositoryOf('team/app')
const image = makeImage({ seed: 'first', layers: [10] })
const other = makeImage({ seed: 'other', layers: [10] })
const refusal = (tag: string, digest: Digest) => ({
  code: 'DENIED',
  status: 403,
  message: new RegExp(`the tag ${tag} of .*team/app is immutable and points to ${digest}`),
  detail: { tag, digest },
})

type Rule = NonNullable<EngineOptions['policies']>[number]

/** Has every blob, and these tags. */
function upstreamWith(tags: ReadonlyMap<string, Digest>) {
  const puts: string[] = []
  const upstream: Partial<Upstream> = {
    headBlob: async () => ({ sizeBytes: 10 }),
    headManifest: async (_name, reference) => {
      const digest = reference.kind === 'tag' ? tags.get(reference.tag) : reference.digest
      if (digest === undefined) throw new UpstreamError('not-found', 'not here')
      return { digest, mediaType: image.manifest.mediaType, sizeBytes: 10, warnings: [] }
    },
    putManifest: async (_name, reference) => {
      puts.push(reference.kind === 'tag' ? reference.tag : reference.digest)
      return { subject: undefined }
    },
    listTags: async () => ({ tags: [] }),
  }
  return { upstream, puts }
}

const rule = (more: Partial<Rule>): Rule => ({
  match: '**',
  push: 'store',
  deletable: true,
  immutable: ['v*'],
  ...more,
})

t.test('R120: a push that would move an immutable tag is refused, and nothing moves', async t => {
  const { registry } = createEngine({ policies: [rule({})] })
  await pushImage(registry, app, image, 'v1')
  await pushImage(registry, app, other, 'latest')
  const moves = pushDocument(registry, app, { document: other.manifest, reference: 'v1' })
  await t.rejects(moves, refusal('v1', image.manifest.digest))
  const tags = ['v2', 'v1']
  const among = pushDocument(registry, app, { document: other.manifest, tags })
  await t.rejects(among, refusal('v1', image.manifest.digest))
  t.match(await registry.pullManifest(app, tagged('v1')), { digest: image.manifest.digest })
  await t.rejects(registry.pullManifest(app, tagged('v2')), { code: 'MANIFEST_UNKNOWN' })
})

t.test('R120: the same manifest again, a new tag and tags of other patterns are fine', async t => {
  const { registry } = createEngine({ policies: [rule({})] })
  await pushImage(registry, app, image, 'v1')
  await pushDocument(registry, app, { document: image.manifest, reference: 'v1' })
  await pushDocument(registry, app, { document: image.manifest, tags: ['v1', 'latest'] })
  await pushImage(registry, app, other, 'latest')
  await pushDocument(registry, app, { document: other.manifest })
  t.match(await registry.pullManifest(app, tagged('latest')), { digest: other.manifest.digest })
})

t.test('R120: of two pushes at once that give a tag to different manifests one wins', async t => {
  const { registry } = createEngine({ policies: [rule({})] })
  await pushParts(registry, app, image)
  await pushParts(registry, app, other)
  const pushes = [image, other].map(({ manifest }) =>
    pushDocument(registry, app, { document: manifest, reference: 'v1' }),
  )
  const outcomes = await Promise.allSettled(pushes)
  t.same(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})

t.test('R457: the same bytes are not pushed as something else, whatever leads to them', async t => {
  const untyped = document(OCI_MANIFEST, {
    schemaVersion: 2,
    config: { mediaType: 'application/json', digest: image.config.digest, size: 10 },
    layers: [],
  })
  const asOther = { ...untyped, mediaType: DOCKER_MANIFEST }
  const { upstream } = upstreamWith(new Map())
  for (const push of ['store', 'queue'] as const) {
    const { registry } = createEngine({ policies: [rule({ push })], upstream })
    const repository = push === 'store' ? app : proxied
    await pushParts(registry, repository, image)
    await pushDocument(registry, repository, { document: untyped, tags: ['v1', 'latest'] })
    const refused = {
      code: 'MANIFEST_INVALID',
      message: /team\/app has sha256:.* as application\/vnd\.oci.*: push them with the first/,
      detail: { digest: untyped.digest, mediaType: OCI_MANIFEST },
    }
    for (const tags of [[], ['v1'], ['latest'], ['v2']])
      await t.rejects(
        pushDocument(registry, repository, { document: asOther, tags }),
        refused,
        push,
      )
    await pushDocument(registry, repository, { document: untyped, tags: ['v2'] })
    for (const tag of ['v1', 'latest', 'v2'])
      t.match(await registry.pullManifest(repository, tagged(tag)), { mediaType: OCI_MANIFEST })
  }
})

t.test('R457: of two pushes at once that call the same bytes two things one wins', async t => {
  const untyped = document(OCI_MANIFEST, { schemaVersion: 2, layers: [] })
  const { registry } = createEngine({ policies: [rule({})] })
  const pushes = [OCI_MANIFEST, DOCKER_MANIFEST].map(mediaType =>
    pushDocument(registry, app, { document: { ...untyped, mediaType }, reference: 'v1' }),
  )
  const outcomes = await Promise.allSettled(pushes)
  t.same(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
})

t.test('R457: once it was deleted, or elsewhere, the same bytes may be something else', async t => {
  const untyped = document(OCI_MANIFEST, { schemaVersion: 2, layers: [] })
  const asOther = { ...untyped, mediaType: DOCKER_MANIFEST }
  const { registry } = createEngine({ policies: [rule({})] })
  await pushDocument(registry, app, { document: untyped, reference: 'latest' })
  const beside = localOf('team/beside')
  await pushDocument(registry, beside, { document: asOther, reference: 'latest' })
  t.match(await registry.pullManifest(app, tagged('latest')), { mediaType: OCI_MANIFEST })
  await registry.deleteManifest(app, digested(untyped.digest).reference)
  await pushDocument(registry, app, { document: asOther, reference: 'latest' })
  t.match(await registry.pullManifest(app, tagged('latest')), { mediaType: DOCKER_MANIFEST })
})

t.test('R120: no client deletes an immutable tag, nor what it points to', async t => {
  const { registry } = createEngine({ policies: [rule({})] })
  await pushImage(registry, app, image, 'v1')
  await pushDocument(registry, app, { document: image.manifest, reference: 'latest' })
  for (const { reference } of [tagged('v1'), digested(image.manifest.digest)])
    await t.rejects(registry.deleteManifest(app, reference), refusal('v1', image.manifest.digest))
  await t.rejects(registry.deleteManifest(app, tagged('v1').reference), {
    message: /: it stays, with what it points to, unless the operator of this registry changes /,
  })
  await registry.deleteManifest(app, tagged('latest').reference)
  t.match(await registry.pullManifest(app, tagged('v1')), { digest: image.manifest.digest })
})

t.test('R120: no client deletes a part of what an immutable tag leads to', async t => {
  const { registry } = createEngine({ policies: [rule({})] })
  const index = makeIndex([image])
  await pushImage(registry, app, index, 'v1')
  await pushImage(registry, app, other, 'latest')
  const held = refusal('v1', index.manifest.digest)
  const child = digested(image.manifest.digest).reference
  await t.rejects(registry.deleteManifest(app, child), held)
  for (const { digest } of [image.config, ...image.layers])
    await t.rejects(registry.deleteBlob(app, digest), held)
  const [layer] = other.layers
  t.ok(layer)
  if (layer !== undefined) await registry.deleteBlob(app, layer.digest)
  t.match(await registry.pullManifest(app, digested(image.manifest.digest)), { source: 'local' })
})

t.test('R120: in forward mode the upstream says where an immutable tag is', async t => {
  const { upstream, puts } = upstreamWith(new Map([['v1', image.manifest.digest]]))
  const { registry, catalog } = createEngine({ policies: [rule({ push: 'forward' })], upstream })
  const push = (reference: string, { manifest } = other) =>
    pushDocument(registry, proxied, { document: manifest, reference })
  await t.rejects(push('v1'), refusal('v1', image.manifest.digest))
  t.same(puts, [])
  await push('v1', image)
  await push('v2')
  t.same(puts, ['v1', 'v2'])

  // The upstream has lost it since: nothing is moved any more.
  const known = await catalog.findTag(proxied, parseTag('v2'))
  t.match(known, { digest: other.manifest.digest })
  await push('v2', image)
  t.same(puts, ['v1', 'v2', 'v2'])
})

t.test('R120: in forward mode nothing is pushed while the upstream can not say', async t => {
  const { upstream, puts } = upstreamWith(new Map())
  const silent = async () => Promise.reject(new UpstreamError('unavailable', 'no line'))
  const { registry } = createEngine({
    policies: [rule({ push: 'forward' })],
    upstream: { ...upstream, headManifest: silent },
  })
  const push = pushDocument(registry, proxied, { document: image.manifest, reference: 'v1' })
  await t.rejects(push, { code: 'UNAVAILABLE' })
  t.same(puts, [])
})

t.test('R120: in queue mode what is here counts, and what the upstream says in time', async t => {
  const { upstream } = upstreamWith(new Map([['v9', image.manifest.digest]]))
  const { registry } = createEngine({ policies: [rule({ push: 'queue' })], upstream })
  const push = (reference: string, { manifest } = other) =>
    pushDocument(registry, proxied, { document: manifest, reference })
  await t.rejects(push('v9'), refusal('v9', image.manifest.digest))
  await push('v1', image)
  await t.rejects(push('v1'), refusal('v1', image.manifest.digest))
  await push('v1', image)
  await t.rejects(
    registry.deleteManifest(proxied, tagged('v1').reference),
    refusal('v1', image.manifest.digest),
    'until it is delivered it is nowhere else',
  )
})

t.test(
  'R120: where pushes stay here, nobody deletes an upstream’s tag to push another',
  async t => {
    const { bytes, digest, mediaType } = image.manifest
    const { upstream } = upstreamWith(new Map([['v1', digest]]))
    const getManifest = async () => ({
      bytes,
      digest,
      declaredDigest: digest,
      mediaType,
      warnings: [],
    })
    const { registry } = createEngine({
      policies: [rule({})],
      upstream: { ...upstream, getManifest },
    })
    await registry.pullManifest(proxied, tagged('v1'))
    for (const { reference } of [tagged('v1'), digested(digest)])
      await t.rejects(registry.deleteManifest(proxied, reference), refusal('v1', digest))
    const move = pushDocument(registry, proxied, { document: other.manifest, reference: 'v1' })
    await t.rejects(move, refusal('v1', digest))
  },
)

t.test('others have their turn while a delete looks for immutable tags among many', async t => {
  const names = Array.from({ length: 2_000 }, (_, at) => `v${10_000 + at}`)
  const { registry, catalog } = createEngine({ policies: [rule({})] })
  await pushImage(registry, app, image, 'latest')
  catalog.listTags = async (_repository, { after = '', limit }) =>
    names
      .filter(each => each > after)
      .slice(0, limit)
      .map(each => {
        return {
          tag: parseTag(each),
          digest: other.manifest.digest,
          checkedAtMs: 1,
          changedAtMs: 1,
          previous: undefined,
          local: true,
        }
      })
  const policies = createPolicies([ruleOf(rule({}))])
  const deps = { catalog, facts: createMemoryFacts(), policies }
  const { reference } = digested(image.manifest.digest)
  const turns = await turnsDuring(() => requireUnbound(deps, app, reference))
  t.ok(turns >= 3, String(turns))
})
