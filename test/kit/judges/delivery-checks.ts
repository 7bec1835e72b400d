// What must be true of deliveries once everything was delivered that can be: what was acknowledged
// is at the upstream, in its order.
import assert from 'node:assert/strict'
import type { Digest } from '../../../src/oci/digest.ts'
import type { RepositoryName } from '../../../src/oci/reference.ts'
import type { Image } from '../image.ts'
import type { UpstreamModel } from '../stubs/upstream-model.ts'

/** A push that was acknowledged. */
export interface Acknowledged {
  readonly name: RepositoryName
  readonly image: Image
  readonly tags: readonly string[]
}

/** Throws at the first thing that is not as it must be. `poison`: what the upstream never took. */
export function checkDelivered(
  model: UpstreamModel,
  pushes: readonly Acknowledged[],
  poison: ReadonlySet<Digest>,
): void {
  const good = pushes.filter(({ image }) => !poison.has(image.manifest.digest))
  for (const push of good) checkContent(model, push)
  for (const name of new Set(pushes.map(push => push.name))) {
    const here = good.filter(push => push.name === name)
    for (const tag of new Set(here.flatMap(({ tags }) => tags))) {
      const targets = here
        .filter(({ tags }) => tags.includes(tag))
        .map(({ image }) => image.manifest.digest)
      const { tags } = model.repository(name)
      assert.equal(tags.get(tag), targets.at(-1), `${name}:${tag} is where it was pushed last`)
    }
  }
}

function checkContent(model: UpstreamModel, { name, image }: Acknowledged): void {
  const { manifests, blobs } = model.repository(name)
  const { digest, bytes } = image.manifest
  assert.ok(bytes.equals(manifests.get(digest)?.bytes ?? Buffer.of()), `${name} has ${digest}`)
  for (const child of image.children) checkContent(model, { name, image: child, tags: [] })
  if (image.children.length > 0) return
  for (const blob of [image.config, ...image.layers])
    assert.ok(blobs.has(blob.digest), `${name} has the blob ${blob.digest}`)
}

/**
 * Every tag went only forward: where it pointed, in turn, is where it was pushed, in turn, with
 * gaps.
 */
export function checkForward(model: UpstreamModel, pushes: readonly Acknowledged[]): void {
  for (const name of new Set(pushes.map(push => push.name))) {
    for (const [tag, history] of model.repository(name).histories) {
      const pushed = pushes
        .filter(push => push.name === name && push.tags.includes(tag))
        .map(({ image }) => image.manifest.digest)
      const rest = pushed.values()
      for (const digest of history) {
        const isLater = rest.some(each => each === digest)
        assert.ok(isLater, `${name}:${tag} never went back: ${short(history)} of ${short(pushed)}`)
      }
    }
  }
}

/** Manifests came in the order in which they were acknowledged. */
export function checkOrder(
  model: UpstreamModel,
  pushes: readonly Acknowledged[],
  poison: ReadonlySet<Digest>,
): void {
  for (const name of new Set(pushes.map(push => push.name))) {
    const pushed = pushes
      .filter(push => push.name === name)
      .map(({ image }) => image.manifest.digest)
      .filter(digest => !poison.has(digest))
    const first = [...new Set(pushed)]
    const came = model.repository(name).order.filter(digest => first.includes(digest))
    assert.deepEqual(came, first, `${name} got its manifests in order`)
  }
}

function short(digests: readonly Digest[]): string {
  return digests.map(digest => digest.slice(7, 11)).join(' ')
}
