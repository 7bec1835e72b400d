// Content that is leaving, with one of the steps of that held back, and everybody who may bring it
// back meanwhile.
import { Haste } from '../../../src/async/haste.ts'
import { parseManifest } from '../../../src/oci/manifest.ts'
import { asRecorded } from '../../../src/registry/content/edges.ts'
import {
  type BlobOf,
  StoredContent,
  type TurnsOfDigests,
} from '../../../src/registry/content/content.ts'
import { Leaving } from '../../../src/registry/leave/leaving.ts'
import type { BlobStore } from '../../../src/registry/ports/blob-store.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import type { EngineEvent } from '../../../src/registry/ports/events.ts'
import { everyCall } from '../around.ts'
import { localOf } from '../engine.ts'
import { makeImage } from '../image.ts'
import { createManualClock } from '../manual-clock.ts'
import { createMemoryCatalog } from '../memory/catalog.ts'
import { createMemoryDisk, createMemoryStore } from '../memory/store.ts'
import { settle } from '../settle.ts'

/** A manifest that lists next to nothing: it may come as a blob, and as what it is. */
export const document = makeImage({ seed: 'leaves', layers: [] }).manifest
export const { digest, bytes } = document
export const repository = localOf('team/app')
const blob: BlobOf = { repository, digest, atMs: 1 }
const recorded = asRecorded(parseManifest(bytes, document.mediaType), digest, bytes.length)

/** Each may be held before it is done. */
export const STEPS = ['whichLeave', 'remove', 'finishLeaving'] as const
export type Step = (typeof STEPS)[number] | 'find'

export interface Ports {
  readonly store: BlobStore
  readonly catalog: Catalog
}

/** In which nobody waits for anybody, to see that they are needed. */
export const NO_TURNS: TurnsOfDigests = {
  take: (_key, step) => step(),
  takeMany: (keys, step) => step(keys),
}

export type LeavingWorld = ReturnType<typeof makeLeavingWorld>

export function memoryPorts(): Ports {
  const catalog = createMemoryCatalog()
  const known = catalog.findContent.bind(catalog)
  return { catalog, store: createMemoryStore(createMemoryDisk(), { known }) }
}

/** `turns`: in place of those of StoredContent. */
export function makeLeavingWorld(ports: Ports = memoryPorts(), turns?: TurnsOfDigests) {
  const held = new Map<Step, Promise<void>>()
  const hold = <Port extends object>(port: Port): Port =>
    everyCall(port, async (call, args, name) => {
      await held.get(name as Step)
      return call(...args)
    })
  const events: EngineEvent[] = []
  const note = (event: EngineEvent) => void events.push(event)
  const closed: string[] = []
  const { store, catalog } = ports
  const content = new StoredContent({ store: hold(store), catalog: hold(catalog) }, turns)
  const closeOpen = (each: string) => void closed.push(each)
  const clock = createManualClock()
  const haste = new Haste()
  const leaving = new Leaving({ content, catalog: hold(catalog), clock, note, haste, closeOpen })
  return {
    ...ports,
    content,
    leaving,
    haste,
    events,
    closed,
    /** The next time, that step waits until what is returned is called. */
    hold: (step: Step): (() => void) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      held.set(step, promise)
      return () => {
        held.delete(step)
        resolve()
      }
    },
    /** Cached, and needed by nobody. */
    begin: async () => {
      await content.publish(await filled(store), cached)
    },
    letGo: () => catalog.letGo({ digests: [digest], reason: 'evicted', atMs: 5 }),
    /** `file` and `row`: is it here? `isLeaving`: is there an intent? */
    found: async () => ({
      file: (await store.find(digest)) !== undefined,
      row: (await catalog.findContent(digest)) !== undefined,
      isLeaving: (await catalog.findLeaving(digest)) !== undefined,
    }),
  }
}

async function filled(store: BlobStore) {
  const file = await store.openFill(digest)
  await file.append(bytes)
  file.verify(bytes.length)
  return file
}

async function uploaded(store: BlobStore) {
  const file = await store.createUpload('an-upload-of-a-test-00', 'note', 'sha256')
  await file.append(bytes)
  await file.verify(digest)
  return file
}

const cached = { ...blob, hold: 'nothing' } as const
const acknowledged = { ...blob, hold: 'awaited', acknowledgedAtMs: 1 } as const
const pushed = {
  repository,
  manifest: recorded,
  hold: 'pushed',
  tags: [],
  atMs: 1,
} as const

/** By whom it may come back; each says whether it was there, or is now. */
export const RETURNS: Readonly<Record<string, (world: LeavingWorld) => Promise<boolean>>> = {
  'the publication of a fill': async ({ content, store }) =>
    (await content.publish(await filled(store), cached)) !== undefined,
  'the end of an upload': async ({ content, store }) =>
    (await content.publish(await uploaded(store), acknowledged)) !== undefined,
  'a mount': async ({ content }) => (await content.keepHere(acknowledged)).kind === 'kept',
  'a pushed manifest': async ({ content }) => {
    await content.pushManifest(pushed, bytes, record => record())
    return true
  },
  'a manifest that is only passed through': async ({ content }) => {
    const passed = { ...pushed, hold: 'nothing' } as const
    await content.pushManifest(passed, bytes, record => record())
    return true
  },
  'a pulled manifest': async ({ content }) => {
    await content.putManifest(digest, bytes, () => ({ repository, manifest: recorded, atMs: 1 }))
    return true
  },
  'a file that somebody found, as from the quarantine': async ({ content }) =>
    (await content.recordHere(cached)) !== undefined,
}

/** What must hold in the end; undefined when it does. */
export async function wrongWith(world: LeavingWorld, isBack: boolean): Promise<string | undefined> {
  const { file, row, isLeaving } = await world.found()
  if (row && !file) return 'a row without its file'
  if (file && !row && !isLeaving) return 'a file that nobody counts'
  if (isLeaving && row) return 'an intent for what is here'
  if (isBack && !row) return 'what was acknowledged is gone'
  return undefined
}

/** It leaves, and comes back when it is about to be at `step`. */
export async function comeBackAt(
  world: LeavingWorld,
  step: Step,
  comeBack: (world: LeavingWorld) => Promise<boolean>,
): Promise<boolean> {
  await world.begin()
  await world.letGo()
  const goOn = world.hold(step)
  const finished = world.leaving.finish()
  await settle()
  const back = comeBack(world)
  await settle()
  goOn()
  const [isBack] = await Promise.all([back, finished])
  await world.leaving.finish()
  return isBack
}
