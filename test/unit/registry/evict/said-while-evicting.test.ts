// Goal: what an operator says while content leaves for want of room holds from that moment on:
// pins, and quotas by a reload. Method: the real catalog over the in-memory store; what is said is
// said while the catalog is asked something in the middle of a run.
import t, { type Test } from 'tap'
import { parseSelector } from '../../../../src/config/selectors.ts'
import type { Digest } from '../../../../src/oci/digest.ts'
import { parseRepositoryKey } from '../../../../src/oci/reference.ts'
import { createEpochs } from '../../../../src/registry/epochs.ts'
import { Pins } from '../../../../src/registry/pins/pins.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { openRoom } from '../../../../src/server/room.ts'
import {
  type EvictionOptions,
  HOUR_MS,
  openEvictionWorld,
} from '../../../kit/worlds/eviction-world.ts'
import { type Image, makeImage } from '../../../kit/image.ts'
import { configOf } from '../../../kit/load-text.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'

const KiB = 1024
const APP = 'docker.io/library/app'
const OTHER = 'ghcr.io/team/other'
/** With a manifest and a configuration, in whole blocks. */
const IMAGE_BYTES = 100 * KiB
const ALL_BYTES = 1_000 * IMAGE_BYTES
const [cold, warm] = ['cold', 'warm'].map(seed => makeImage({ seed, layers: [92 * KiB] })) as [
  Image,
  Image,
]

/** `meanwhile` is done once, in the middle of the first of these questions. */
function saidIn<Name extends 'listTags' | 'footprint'>(
  catalog: Catalog,
  name: Name,
  meanwhile: () => Promise<unknown>,
): void {
  const ask = catalog[name].bind(catalog) as (...given: unknown[]) => Promise<unknown>
  let isSaid = false
  const asked = async (...given: unknown[]) => {
    const answer = await ask(...given)
    if (!isSaid) {
      isSaid = true
      await meanwhile()
    }
    return answer
  }
  Object.assign(catalog, { [name]: asked })
}

/** Both images in one repository, of which another tag is pinned. */
async function openPinned(t: Test, options: EvictionOptions = {}) {
  let pins: Pins | undefined
  const now = () => pins as Pins
  const world = await openEvictionWorld(t, {
    ...options,
    pinned: {
      find: (...about) => now().find(...about),
      findContent: digest => now().findContent(digest),
      digests: () => now().digests(),
      get changes() {
        return now().changes
      },
    },
  })
  pins = new Pins({ ...world, epochs: createEpochs() })
  pins.replaceConfigured([parseSelector(`${APP}:of-others`)])
  await world.pulled(APP, cold, { tag: 'cold', agoMs: 9 * HOUR_MS })
  await world.pulled(APP, warm, { tag: 'warm', agoMs: 2 * HOUR_MS })
  const isHere = async (digest: Digest | undefined) =>
    digest !== undefined && (await world.catalog.findContent(digest)) !== undefined
  return { ...world, pins, isHere }
}

t.test('R460: what was pinned while others asked what is pinned stays', async t => {
  const { catalog, pins, evict, isHere } = await openPinned(t)
  saidIn(catalog, 'listTags', () => pins.pin(parseSelector(`${APP}:warm`)))
  await pins.find(parseRepositoryKey(APP), warm.manifest.digest)
  t.match(await evict(ALL_BYTES), { freedBytes: IMAGE_BYTES })
  t.ok(await isHere(warm.manifest.digest))
})

t.test('R460: what is pinned while much leaves stays, and the rest still leaves', async t => {
  for (const question of ['listTags', 'footprint'] as const) {
    const { catalog, pins, evict, isHere } = await openPinned(t)
    saidIn(catalog, question, () => pins.pin(parseSelector(`${APP}:warm`)))
    t.match(await evict(ALL_BYTES), { freedBytes: IMAGE_BYTES }, question)
    t.ok(await isHere(warm.manifest.digest), question)
    t.notOk(await isHere(cold.manifest.digest), question)
  }
})

t.test('R460: a blob that is pinned while its image leaves stays', async t => {
  const { catalog, pins, trimmed, isHere } = await openPinned(t)
  const digest = warm.layers[0]?.digest as Digest
  saidIn(catalog, 'footprint', () => pins.pin(parseSelector(digest)))
  const gone = await trimmed(ALL_BYTES)
  t.equal(gone.length, 2, 'both images leave')
  t.ok(await isHere(digest))
  t.notOk(await isHere(warm.manifest.digest))
})

const upstreams = (quota: string) => `upstreams: { ghcr.io: { ${quota} }, docker.io: {} }`
const FLOOR = upstreams('quota: { floor: 20% }')

/** Which was said is replaced while the first image is about to leave; what is left of it then. */
async function reloaded(t: Test, before: string, after: string) {
  const parts = { clock: createManualClock(), note: () => {} }
  const room = openRoom(configOf(before), parts)
  t.teardown(() => room.stop())
  let looks = 0
  const world = await openEvictionWorld(t, {
    maxBytes: 10 * IMAGE_BYTES,
    quotasNow: () => room.forRegistry.quotas(),
  })
  const images = Array.from({ length: 3 }, (_, at) =>
    makeImage({ seed: `other ${at}`, layers: [92 * KiB] }),
  )
  for (const image of images) await world.pulled(OTHER, image, { agoMs: 9 * HOUR_MS })
  const list = world.catalog.listColdest.bind(world.catalog)
  world.catalog.listColdest = page => {
    if (page.after === undefined) looks += 1
    return list(page)
  }
  saidIn(world.catalog, 'footprint', async () => room.replace(configOf(after)))
  const gone = await world.trimmed(ALL_BYTES)
  return { left: images.length - gone.length, looks }
}

t.test('R461: a floor holds while what leaves is under way, whatever is reloaded', async t => {
  const noReload = await reloaded(t, FLOOR, FLOOR)
  t.equal(noReload.left, 2, 'one that says the same')
  t.match(await reloaded(t, FLOOR, `${FLOOR}\nlog: { level: debug }`), noReload, 'of other things')
  t.match(await reloaded(t, upstreams(''), FLOOR), { left: 2 }, 'one that has the floor')
  t.match(await reloaded(t, FLOOR, upstreams('quota: { floor: 30% }')), { left: 3 }, 'more')
  t.match(await reloaded(t, FLOOR, upstreams('')), { left: 0 }, 'one that has none any more')
  const rule = (match: string) =>
    `${upstreams('')}\nrepositories: [{ match: "${match}", quota: { floor: 20% } }]`
  t.match(await reloaded(t, rule('docker.io/**'), rule('ghcr.io/**')), { left: 2 }, 'of a rule')
})
