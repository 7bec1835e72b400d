// Goal: facts lie on disk as docs/storage-format.md says, so that a later version, a backup and an
// operator find them; nothing is followed out of the data directory. Method: the facts of a
// directory, its files looked at and laid by hand.
import { createHash } from 'node:crypto'
import { lstat, mkdir, symlink, writeFile } from 'node:fs/promises'
import t from 'tap'
import type { RepositoryKey, Tag } from '../../../src/oci/reference.ts'
import type { Fact } from '../../../src/registry/ports/facts.ts'
import { factPath, layoutUnder } from '../../../src/store/filesystem/layout.ts'
import { digestBy, sharedStoreDirectory, storeDirectory } from '../../kit/disk/store-directory.ts'
import { listFacts } from '../../kit/judges/facts-of.ts'

const emptyDirectory = sharedStoreDirectory(t)
const DIGEST = digestBy('sha256', 'a manifest')
const REPOSITORY = 'localhost/team/app' as RepositoryKey
const TAGGED: Fact = {
  kind: 'tag',
  repository: REPOSITORY,
  tag: 'v1.0' as Tag,
  digest: DIGEST,
  atMs: 1_700_000_000_000,
}

/** The oracle is node's hash over the text that the document gives. */
function nameOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

t.test('each fact has one file, named by the hash of its identity', async t => {
  const directory = await emptyDirectory()
  const facts = await directory.openFacts('a catalog')
  const all: [string, Fact][] = [
    [`tag ${REPOSITORY} v1.0`, TAGGED],
    [
      `manifest ${REPOSITORY} ${DIGEST}`,
      { kind: 'manifest', repository: REPOSITORY, digest: DIGEST, mediaType: 'a/b', atMs: 1 },
    ],
    [
      `deleted ${REPOSITORY} ${DIGEST}`,
      { kind: 'deleted', repository: REPOSITORY, digest: DIGEST, atMs: 1 },
    ],
    [
      'delivery 17',
      {
        kind: 'delivery',
        id: 17,
        carrier: 'queue',
        key: REPOSITORY,
        payload: '{}',
        createdAtMs: 1,
      },
    ],
  ]
  await facts.write(all.map(([, fact]) => fact))
  const names = all.map(([identity]) => `facts/${nameOf(identity)}`)
  t.same(await directory.files(), names.toSorted())
  for (const [index, name] of names.entries()) {
    t.same(JSON.parse(await directory.read(directory.path(name))), {
      version: 1,
      catalog: 'a catalog',
      ...all[index]?.[1],
    })
    // Readable by a group that the operator lets in, as far as the umask goes; nobody writes into
    // it.
    t.equal((await directory.mode(directory.path(name))) & 0o737, 0o400)
  }
  await facts.write(all.map(([, fact]) => fact))
  t.same(await directory.files(), names.toSorted(), 'replaced, not added')
})

t.test('a manifest that lists layers from elsewhere has version 2, and names so many', async t => {
  const directory = await emptyDirectory()
  const facts = await directory.openFacts()
  const named = (count: number): Fact => ({
    kind: 'manifest',
    repository: REPOSITORY,
    digest: DIGEST,
    mediaType: 'a/b',
    atMs: 1,
    foreign: Array.from({ length: count }, (_, at) => digestBy('sha512', `${at}`)),
  })
  await facts.write([named(500)])
  const [name = ''] = await directory.files()
  const path = directory.path(name)
  t.match(JSON.parse(await directory.read(path)), { version: 2 })
  t.same(await listFacts(facts), [named(500)])
  for (const spoiled of [{ version: 1 }, { foreign: 'x' }, { foreign: ['x'] }, named(501)]) {
    await facts.remove([named(0)])
    await directory.lay(path, JSON.stringify({ version: 2, ...named(0), ...spoiled }))
    t.same(await listFacts(facts), [], 'is not read')
  }
})

t.test('one that says what is not here has version 3, and says nothing else', async t => {
  const directory = await emptyDirectory()
  const facts = await directory.openFacts()
  const lacking: Fact = {
    kind: 'manifest',
    repository: REPOSITORY,
    digest: DIGEST,
    mediaType: 'a/b',
    atMs: 1,
    absent: Array.from({ length: 500 }, (_, at) => digestBy('sha512', `${at}`)),
  }
  await facts.write([lacking])
  const [name = ''] = await directory.files()
  const path = directory.path(name)
  const written = JSON.parse(await directory.read(path))
  t.match(written, { version: 3 })
  t.same(await listFacts(facts), [lacking])
  for (const spoiled of [{ version: 2 }, { absent: 'x' }, { foreign: [] }]) {
    await facts.remove([lacking])
    await directory.lay(path, JSON.stringify({ ...written, ...spoiled }))
    t.same(await listFacts(facts), [], 'is not read')
  }
})

t.test(
  'a delivery that an earlier version calls `forward` is one of the carrier `queue`',
  async t => {
    const directory = await emptyDirectory()
    const entry = {
      kind: 'delivery',
      id: 17,
      key: REPOSITORY,
      payload: '{}',
      createdAtMs: 1,
    } as const
    const path = directory.path(`facts/${nameOf('delivery 17')}`)
    await directory.openFacts('a catalog')
    await writeFile(
      path,
      JSON.stringify({ version: 1, catalog: 'a catalog', carrier: 'forward', ...entry }),
    )
    const facts = await directory.openFacts('a catalog')
    t.match(await facts.find({ kind: 'delivery', id: 17 }), { ...entry, carrier: 'queue' })
  },
)

t.test('facts are there after a start, and files of other names are left alone', async t => {
  const directory = await emptyDirectory()
  await (await directory.openFacts()).write([TAGGED])
  const others = ['README', `${nameOf('x')}.old`, nameOf('x').toUpperCase()]
  for (const other of others) await directory.lay(directory.path('facts', other), 'x')
  t.same(await listFacts(await directory.openFacts()), [TAGGED])
  t.equal((await directory.files()).length, 4)
  t.same(directory.events, [])
})

t.test('R191: a link in place of a fact is told and not followed; a write replaces it', async t => {
  const outside = t.testdir({ secret: JSON.stringify({ version: 1, ...TAGGED }) })
  const directory = storeDirectory(t, `${outside}/data`)
  const facts = await directory.openFacts()
  const path = directory.path('facts', nameOf(`tag ${REPOSITORY} v1.0`))
  await symlink(`${outside}/secret`, path)
  t.same(await listFacts(facts), [])
  t.match(directory.events, [{ kind: 'storage failed', failure: 'corrupt', hint: /backup/ }])
  await facts.write([TAGGED])
  t.ok((await lstat(path)).isFile())
  t.equal(await directory.read(`${outside}/secret`), JSON.stringify({ version: 1, ...TAGGED }))
})

t.test('R264: facts that could not be changed or read are said to have failed', async t => {
  const directory = await emptyDirectory()
  const changed = await directory.openFacts()
  await changed.write([TAGGED])
  await changed.remove([TAGGED])
  t.equal(changed.failures, 0)
  await mkdir(directory.path('facts', nameOf(`tag ${REPOSITORY} v1.0`)))
  await t.rejects(changed.write([TAGGED]), { name: 'StoreError' })
  t.equal(changed.failures, 1)
  const read = await directory.openFacts()
  t.equal(read.failures, 0)
  t.same(await listFacts(read), [])
  t.equal(read.failures, 1)
})

t.test('R191: no path is made from anything but the name of a fact', async t => {
  const layout = layoutUnder('/data')
  t.equal(factPath(layout, nameOf('x')), `/data/facts/${nameOf('x')}`)
  for (const other of ['', '..', '../blobs', nameOf('x').slice(1), `${nameOf('x')}0`]) {
    t.throws(() => factPath(layout, other), other)
  }
})
