// Goal: what had to give its place away is begun again, whatever is looked at meanwhile. Method:
// the fills of what is fetched ahead over places that a test gives and takes, and a disk that
// answers when the test says so.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { FillTask } from '../../../../src/registry/fill/fill-task.ts'
import type { Fill } from '../../../../src/registry/fill/fill.ts'
import {
  PrefetchFills,
  type PrefetchFillsDeps,
} from '../../../../src/registry/pull/prefetch-fills.ts'
import { ImagePrefetch, PrefetchTable } from '../../../../src/registry/pull/prefetch-images.ts'
import type { Edge } from '../../../../src/registry/ports/catalog-content.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'

const turns = async () => {
  for (let n = 0; n < 20; n += 1) await new Promise(setImmediate)
}

t.test('what gives its place away while the disk is looked at comes again', async t => {
  const { namespace } = createEngine({ prefetch: true })
  const edges = ['one', 'two'].map((text): Edge => {
    const child = digestOf(Buffer.from(text))
    const rest = {
      kind: 'layer',
      mediaType: 'application/octet-stream',
      platform: undefined,
    } as const
    return { ...rest, child, sizeBytes: 1_000_000, distributable: true }
  })
  const digest = digestOf(Buffer.from('manifest'))
  const manifest = { digest, mediaType: 'application/json', sizeBytes: 10, edges }
  const repository = repositoryOf('library/app')
  const image = new ImagePrefetch({ repository, namespace, manifest, index: undefined }, 0)
  const table = new PrefetchTable()
  table.add(image)
  image.start()

  const asked: string[] = []
  const over = Promise.withResolvers<void>()
  let places = 1
  let disk = Promise.resolve()
  const fills = {
    moment: 0,
    whenPlace: () => {},
    find: () => undefined,
    hasEndedSince: () => false,
    hasPlace: () => true,
    startSpeculative: (task: FillTask) => {
      if (places === 0) return undefined
      places -= 1
      asked.push(task.digest)
      const progress = { state: 'failed', contiguousBytes: 0 }
      return { task, over: over.promise, isGivenUp: true, progress } as unknown as Fill
    },
  }
  const deps = {
    store: { find: async () => disk },
    catalog: { findMember: async () => ({ delivered: true, mediaType: undefined }) },
    note: () => {},
    fills,
    space: { spareBytes: async () => 1e12 },
    table,
    nothingToDo: () => {},
  } as unknown as PrefetchFillsDeps
  const prefetch = new PrefetchFills(deps)
  const [one, two] = edges.map(({ child }) => child)

  prefetch.begin()
  await turns()
  t.same(asked, [one])
  const answered = Promise.withResolvers<void>()
  disk = answered.promise
  prefetch.begin()
  await turns()
  over.resolve()
  await turns()
  answered.resolve()
  await turns()
  places = 2
  prefetch.begin()
  await turns()
  t.same(asked, [one, one, two])
})
