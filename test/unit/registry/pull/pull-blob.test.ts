// Goal: who may have a blob, and what becomes of files and waiters when something fails, holds in
// every order of events. Method: the engine over in-memory twins, with an upstream that answers
// when the test says so.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { StoreError } from '../../../../src/registry/ports/store-error.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { around } from '../../../kit/around.ts'
import { blobAnswer, createEngine, readAll, rejection, repositoryOf } from '../../../kit/engine.ts'

const bytes = Buffer.from('the content of a blob')
const digest = digestOf(bytes)
const owner = repositoryOf('team/owner')
const stranger = repositoryOf('team/stranger')

async function turns(): Promise<void> {
  for (let n = 0; n < 20; n += 1) await new Promise(setImmediate)
}

t.test(
  'R84: whoever asks at the same moment through another repository must have a right of its own',
  async t => {
    const { registry } = createEngine({
      upstream: {
        getBlob: async name => {
          if (name === owner.name) return blobAnswer([bytes])
          throw new UpstreamError('not-found', 'not in this repository')
        },
      },
    })
    const [first, second] = await Promise.allSettled([
      registry.pullBlob(owner, digest),
      registry.pullBlob(stranger, digest),
    ])
    t.match(second, { status: 'rejected', reason: { code: 'BLOB_UNKNOWN' } })
    if (first.status === 'rejected') throw first.reason
    t.same(await readAll(first.value), bytes)
  },
)

t.test('R84: the refusal that one repository got is not the answer of another', async t => {
  for (const failure of ['not-found', 'denied', 'invalid'] as const) {
    const refused = Promise.withResolvers<void>()
    const { registry } = createEngine({
      upstream: {
        headBlob: async () => ({ sizeBytes: bytes.length }),
        getBlob: async name => {
          if (name === owner.name) return blobAnswer([bytes])
          await refused.promise
          throw new UpstreamError(failure, 'not for you')
        },
      },
    })
    const second = registry.pullBlob(stranger, digest)
    second.catch(() => {})
    await new Promise(setImmediate)
    const first = registry.pullBlob(owner, digest)
    await new Promise(setImmediate)
    refused.resolve()
    await t.rejects(second, failure)
    t.same(await readAll(await first), bytes, failure)
  }
})

t.test(
  'R84: what was coming for a repository is no right to what others fetched after it',
  async t => {
    const refused = Promise.withResolvers<void>()
    const known = Promise.withResolvers<void>()
    const turn = Promise.withResolvers<void>()
    let isSlow = false
    let slowly = 0
    const { registry } = createEngine({
      // Whose turn has not come is asked about once more: there the second stops.
      fillsAtOnce: 1,
      upstream: {
        headBlob: async () => {
          throw new UpstreamError('not-found', 'not in this repository')
        },
        getBlob: async (name, asked) => {
          if (asked !== digest) {
            await turn.promise
            throw new UpstreamError('not-found', 'it only took the place')
          }
          if (name === owner.name) return blobAnswer([bytes])
          await refused.promise
          throw new UpstreamError('denied', 'not for you')
        },
      },
      catalog: catalog =>
        around(catalog, {
          sizeOf:
            sizeOf =>
            async (...asked) => {
              if (isSlow) {
                slowly += 1
                await known.promise
              }
              return sizeOf(...asked)
            },
        }),
    })
    registry.pullBlob(owner, digestOf(Buffer.from('other'))).catch(() => {})
    await turns()
    const first = registry.pullBlob(stranger, digest)
    first.catch(() => {})
    await turns()
    isSlow = true
    const second = registry.pullBlob(stranger, digest)
    second.catch(() => {})
    await turns()
    t.equal(slowly, 1, 'the second has stopped')
    isSlow = false
    turn.resolve()
    refused.resolve()
    await t.rejects(first, { code: 'DENIED' })
    await turns()
    t.same(await readAll(await registry.pullBlob(owner, digest)), bytes)
    await registry.settled(digest)
    known.resolve()
    await t.rejects(second, { code: 'DENIED' }, 'it is asked for itself')
  },
)

t.test('R82: a fill that begins and ends while the disk is looked at is not repeated', async t => {
  for (const slow of [1, 2]) {
    let looks = 0
    let gets = 0
    const answered = Promise.withResolvers<void>()
    const { registry, catalog } = createEngine({
      upstream: {
        getBlob: async () => {
          gets += 1
          return blobAnswer([bytes])
        },
      },
      store: store =>
        around(store, {
          openRead: openRead => async wanted => {
            looks += 1
            const isSlow = looks === slow
            const opened = await openRead(wanted)
            if (isSlow) await answered.promise
            return opened
          },
        }),
    })
    await catalog.recordMember(owner, digest, 1)
    const first = registry.pullBlob(owner, digest)
    await turns()
    const second = registry.pullBlob(owner, digest).then(readAll)
    await turns()
    answered.resolve()
    t.same(await readAll(await first), bytes)
    t.same(await second, bytes)
    t.equal(gets, 1, `the answer to look ${slow} is late`)
  }
})

t.test('R253: a length that is written down wrongly is mended by who reads the blob', async t => {
  const { registry, catalog } = createEngine({
    upstream: { getBlob: async () => blobAnswer([bytes], { totalBytes: bytes.length }) },
  })
  const readWhole = async () => readAll(await registry.pullBlob(owner, digest))
  await readWhole()
  await turns()
  const wrong = {
    repository: owner,
    digest,
    sizeBytes: 999,
    hold: 'nothing',
    atMs: 0,
  } as const
  await catalog.recordBlob(wrong)
  t.equal((await catalog.findContent(digest))?.sizeBytes, 999)
  t.same(await readWhole(), bytes)
  t.equal((await catalog.findContent(digest))?.sizeBytes, bytes.length)
})

t.test('a blob that was opened is closed when its use cannot be written down', async t => {
  let open = 0
  const { registry, store, catalog } = createEngine({
    store: store =>
      around(store, {
        openRead: openRead => async wanted => {
          const opened = await openRead(wanted)
          if (opened === undefined) return undefined
          open += 1
          const close = async () => {
            open -= 1
          }
          return { ...opened, handle: { ...opened.handle, close } }
        },
      }),
  })
  await store.put(digest, bytes, 'cached')
  const record = { sizeBytes: bytes.length, hold: 'nothing', atMs: 1 } as const
  await catalog.recordBlob({ repository: owner, digest, ...record })
  catalog.findContent = async () => {
    throw new StoreError('io', 'the catalog is closed')
  }
  await rejection(registry.pullBlob(owner, digest))
  t.equal(open, 0)
})

t.test(
  'R92: a blob that fails before its first byte is told as the failure of its upstream',
  async t => {
    const wrong = Buffer.from(bytes).fill(0)
    const { registry } = createEngine({ upstream: { getBlob: async () => blobAnswer([wrong]) } })
    const answer = await registry.pullBlob(owner, digest)
    t.match(await rejection(readAll(answer)), { code: 'UNAVAILABLE', status: 502 })
  },
)

t.test('a crowd that joins a fill on its way asks the catalog for nothing', async t => {
  const CROWD = 20
  const come = Promise.withResolvers<void>()
  const asked: string[] = []
  const { registry } = createEngine({
    upstream: {
      getBlob: async () => {
        await come.promise
        return blobAnswer([bytes])
      },
    },
    catalog: catalog => {
      const { findMember, sizeOf, findContent } = catalog
      return Object.assign(catalog, {
        findMember: noting('findMember', findMember.bind(catalog)),
        sizeOf: noting('sizeOf', sizeOf.bind(catalog)),
        findContent: noting('findContent', findContent.bind(catalog)),
      })
    },
  })
  function noting<Asked extends unknown[], Said>(name: string, ask: (...asked: Asked) => Said) {
    return (...question: Asked) => {
      asked.push(name)
      return ask(...question)
    }
  }
  const first = registry.pullBlob(owner, digest)
  await turns()
  t.same(asked, ['findMember', 'findContent', 'sizeOf'])
  const crowd = Array.from({ length: CROWD }, () => registry.pullBlob(owner, digest))
  await turns()
  t.equal(asked.length, 3)
  come.resolve()
  for (const answer of [first, ...crowd]) t.same(await readAll(await answer), bytes)
})
