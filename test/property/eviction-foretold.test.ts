// Goal: a dry run tells what the run then does: the same images in the same order, and the bytes
// that the disk really has back; and what is within a floor stays. Method: caches from a seed, with
// layers and indexes that repositories share, pins and quotas; first foretold, then done.
import t from 'tap'
import { parseRepositoryKey } from '../../src/oci/reference.ts'
import { onDiskBytes } from '../../src/registry/ports/blob-store.ts'
import type { Quota } from '../../src/registry/routing/quota.ts'
import { patternBlob } from '../kit/content.ts'
import {
  type EvictionWorld,
  HOUR_MS,
  openEvictionWorld,
  STRANGER,
} from '../kit/worlds/eviction-world.ts'
import { makeIndex } from '../kit/image.ts'
import { createRandom, type Random, seedOf } from '../kit/seeded.ts'
import { sharingImage } from '../kit/sharing-image.ts'

const CACHES = 6
const REPOSITORIES = ['docker.io/library/a', 'docker.io/library/b', 'ghcr.io/team/c'] as const
/** Does not share: what it lists it has, without needing it. */
const APART = `${STRANGER}/team/d`
const KiB = 1024

async function fill(world: EvictionWorld, random: Random): Promise<void> {
  const layers = Array.from({ length: 8 }, (_, at) =>
    patternBlob(`shared ${at}`, random.between(1, 90) * KiB),
  )
  const images = Array.from({ length: 40 }, (_, at) => sharingImage(random, `${at}`, layers))
  for (const image of images) {
    const agoMs = random.between(0, 100) * HOUR_MS
    await world.pulled(random.pick(REPOSITORIES), image, { agoMs })
    // The same image elsewhere, too, and older or younger there.
    if (random.oneIn(3))
      await world.pulled(random.pick(REPOSITORIES), image, { agoMs: random.below(99) * HOUR_MS })
  }
  for (const image of images) {
    const pull = { apart: true, agoMs: random.below(99) * HOUR_MS }
    if (random.oneIn(4)) await world.given(APART, image.manifest, pull)
    else if (random.oneIn(8)) await world.pulled(APART, image, pull)
  }
  for (let at = 0; at < 8; at += 1) {
    const children = images.filter(() => random.oneIn(12))
    if (children.length > 0)
      await world.pulled(random.pick(REPOSITORIES), makeIndex(children), { agoMs: at * HOUR_MS })
    // Which it was given none of.
    const { manifest } = makeIndex(images.filter(() => random.oneIn(12)))
    await world.given(random.pick(REPOSITORIES), manifest, { agoMs: random.below(99) * HOUR_MS })
  }
  for (let at = 0; at < 4; at += 1) {
    const loose = patternBlob(`loose ${at}`, random.between(1, 30) * KiB)
    await world.blob(REPOSITORIES[0], loose.bytes(), loose.digest, at * HOUR_MS)
  }
  // Needed by nothing any more, and listing what others have, and what nobody has.
  for (let at = 0; at < 6; at += 1) {
    const image = sharingImage(random, `deleted ${at}`, layers)
    const whole = random.oneIn(3)
      ? makeIndex([image, images[random.below(images.length)] ?? image])
      : image
    const key = random.pick(REPOSITORIES)
    await world.pulled(key, whole, { agoMs: random.below(99) * HOUR_MS })
    for (const each of [whole, ...whole.children])
      await world.catalog.removeMember(parseRepositoryKey(key), each.manifest.digest)
  }
}

/** That count for the quota of a registry. */
async function bytesOf({ catalog }: EvictionWorld, registry: string): Promise<number> {
  return (await catalog.listRepositoryBytes({ limit: 9 }))
    .filter(({ repository }) => repository.startsWith(`${registry}/`))
    .reduce((sum, { bytes }) => sum + bytes, 0)
}

/** What no quota holds, of those whose it is. */
async function looseBytesOf({ catalog }: EvictionWorld, registry: string): Promise<number> {
  let bytes = 0
  for (const { digest, sizeBytes } of await catalog.listLoose({ limit: 999 })) {
    const keys = await catalog.listRepositoriesOf(digest, 9)
    bytes += keys.filter(key => key.startsWith(`${registry}/`)).length * onDiskBytes(sizeBytes)
  }
  return bytes
}

function quotasFrom(random: Random): Readonly<Record<string, Quota>> {
  const amount = (kib: number) => ({ kind: 'bytes', bytes: kib * KiB }) as const
  const quota = () => ({
    ...(random.oneIn(2) ? { ceiling: amount(random.between(100, 2_000)) } : {}),
    ...(random.oneIn(2) ? { floor: amount(random.between(1, 900)) } : {}),
  })
  return { 'docker.io': quota(), 'ghcr.io': quota(), [STRANGER]: quota() }
}

t.test('R376: what a dry run tells is what leaves, and what is free by it', async t => {
  const seed = seedOf(process.env)
  t.comment(`SEED=${seed}`)
  const random = createRandom(seed)
  let evicted = 0
  for (let cache = 0; cache < CACHES; cache += 1) {
    const pinnedByte = random.between(0, 15).toString(16)
    const away = random.oneIn(2) ? ['ghcr.io'] : []
    const quotas = quotasFrom(random)
    const world = await openEvictionWorld(t, {
      away,
      quotas,
      pinned: {
        find: async (_, digest) => (digest.endsWith(pinnedByte) ? {} : undefined),
        findContent: () => undefined,
        digests: () => new Set(),
        changes: 0,
      },
    })
    await fill(world, random)
    const wantedBytes = random.between(1, 3_000) * KiB
    const before = (await world.catalog.totals()).contentBlocks
    const bytesBefore = new Map<string, number>()
    for (const registry of Object.keys(quotas)) {
      const looseBytes = await looseBytesOf(world, registry)
      bytesBefore.set(registry, (await bytesOf(world, registry)) - looseBytes)
    }
    const foretold = await world.foretold(wantedBytes)
    t.equal((await world.catalog.totals()).contentBlocks, before, 'nothing has left')
    t.same(await world.trimmed(wantedBytes), foretold, `of cache ${cache}`)
    const freed = foretold.reduce((sum, { bytes }) => sum + bytes, 0)
    t.equal((await world.catalog.totals()).contentBlocks, before - freed / 4096, 'as many bytes')
    evicted += foretold.length
    const loose = foretold.filter(({ what }) => what.startsWith('sha256:'))
    const looseBytes = loose.reduce((sum, { bytes }) => sum + bytes, 0)
    for (const [registry, { ceiling, floor }] of Object.entries(quotas)) {
      // What is above a ceiling leaves, whatever a floor says.
      if (floor?.kind !== 'bytes' || ceiling !== undefined) continue
      const images = bytesBefore.get(registry) ?? 0
      const left = await bytesOf(world, registry)
      // No quota holds what is loose, before or by what leaves.
      t.ok(
        left >= Math.min(floor.bytes, images) - looseBytes,
        `R378: ${left} bytes stay of ${registry}`,
      )
    }
  }
  t.ok(evicted > CACHES, `${evicted} left`)
})
