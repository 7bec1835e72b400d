// Goal: a catalog of version 2000 is taken over with what is needed and what is held, and that
// version can run on the file again without harm to either. Method: its tables, and its statements
// as far as they touch what is counted; the counts are held against counting.
import { join } from 'node:path'
import Sqlite, { type Database } from 'better-sqlite3'
import t from 'tap'
import { digestBytes } from '../../../src/catalog/sqlite/encoding.ts'
import { MIGRATIONS } from '../../../src/catalog/sqlite/schema/schema.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import { digestNamed } from '../../contract/catalog-samples.ts'
import { DRIFTS } from '../../kit/judges/catalog-drift.ts'
import { openCatalog, queryBeside } from '../../kit/open-catalog.ts'

const KEYS = {
  local: 'localhost/app',
  queued: 'queued.example/app',
  delivered: 'delivered.example/app',
  stored: 'stored.example/app',
  untagged: 'untagged.example/app',
  signed: 'signed.example/app',
  mixed: 'mixed.example/app',
} as const
type Where = keyof typeof KEYS

/** Writes as version 2000 did. */
class Version2000 {
  readonly #database: Database

  constructor(directory: string) {
    this.#database = new Sqlite(join(directory, 'catalog.db'))
    if (this.#database.pragma('user_version', { simple: true }) === 0) {
      for (const { version, sql } of MIGRATIONS) if (version <= 2000) this.#database.exec(sql)
      this.#database.pragma('user_version = 2000')
    }
    this.#database.pragma('foreign_keys = ON')
  }

  #one(sql: string, ...values: unknown[]): unknown {
    return this.#database
      .prepare(sql)
      .pluck()
      .get(...values)
  }

  #run(sql: string, ...values: unknown[]): void {
    this.#database.prepare(sql).run(...values)
  }

  #content(name: string): unknown {
    const digest = digestBytes(digestNamed(name))
    const known = this.#one('SELECT id FROM content WHERE digest = ?', digest)
    return known ?? this.#one('INSERT INTO content (digest) VALUES (?) RETURNING id', digest)
  }

  #repository(where: Where): unknown {
    const known = this.#one('SELECT id FROM repository WHERE key = ?', KEYS[where])
    return known ?? this.#one('INSERT INTO repository (key) VALUES (?) RETURNING id', KEYS[where])
  }

  #present(name: string, mediaType: string | null): void {
    this.#run(
      `UPDATE content SET size = 500, media_type = coalesce(media_type, ?), class = 1, created_at = 1, last_used_at = 1,
         present = 1 WHERE id = ?`,
      mediaType,
      this.#content(name),
    )
  }

  pushBlob(where: Where, name: string): void {
    this.#present(name, null)
    this.#run(
      `INSERT INTO repository_content (repository, content, reason, media_type, delivered) VALUES (?, ?, 1, '', 1)
       ON CONFLICT DO UPDATE SET delivered = 1 WHERE delivered = 0`,
      this.#repository(where),
      this.#content(name),
    )
  }

  pushManifest(where: Where, name: string, layers: readonly string[]): void {
    this.#present(name, 'x/manifest')
    const [repository, content] = [this.#repository(where), this.#content(name)]
    this.#run('DELETE FROM edge WHERE parent = ?', content)
    for (const [at, layer] of layers.entries())
      this.#run(
        `INSERT INTO edge (parent, position, child, kind, size, media_type, platform, distributable)
         VALUES (?, ?, ?, 2, 500, 'x/layer', NULL, 1)`,
        content,
        at,
        this.#content(layer),
      )
    this.#run('UPDATE repository SET pushed = 1 WHERE id = ?', repository)
    this.#run(
      `INSERT INTO repository_content (repository, content, reason, media_type, delivered) VALUES (?, ?, 1, 'x/manifest', 1)
       ON CONFLICT DO UPDATE SET media_type = excluded.media_type, delivered = 1`,
      repository,
      content,
    )
  }

  tag(where: Where, name: string, { local, delivery }: { local: number; delivery?: number }): void {
    this.#run(
      `INSERT INTO tag (repository, name, content, checked_at, changed_at, local, delivery) VALUES (?, 'latest', ?, 1, 1, ?, ?)`,
      this.#repository(where),
      this.#content(name),
      local,
      delivery ?? null,
    )
  }

  queue(where: Where, id: number): void {
    this.#run(
      `INSERT INTO outbox (id, carrier, key, payload, created_at, next_at) VALUES (?, 'queue', ?, '', 1, 1)`,
      id,
      KEYS[where],
    )
  }

  promise(where: Where, name: string): void {
    const key = [this.#repository(where), this.#content(name)]
    this.#run('INSERT INTO promised (repository, content, times, at) VALUES (?, ?, 1, 1)', ...key)
  }

  markCompared(): void {
    this.#run(
      `INSERT OR REPLACE INTO meta (key, value) VALUES ('sequence', 1), ('facts compared', 1)`,
    )
  }

  removeMember(where: Where, name: string): void {
    const key = [this.#repository(where), this.#content(name)]
    this.#run('DELETE FROM repository_content WHERE repository = ? AND content = ?', ...key)
  }

  close(): void {
    this.#database.close()
  }
}

const drifts = (directory: string) => DRIFTS.flatMap(drift => queryBeside(directory, drift))

t.test('what was pushed is held where it may be at no upstream, and cached elsewhere', async t => {
  const directory = t.testdir({})
  const old = new Version2000(directory)
  for (const where of Object.keys(KEYS) as Where[]) {
    old.pushBlob(where, `layer of ${where}`)
    old.pushManifest(where, where, [`layer of ${where}`, 'absent'])
  }
  old.pushBlob('local', 'nothing lists it')
  old.queue('queued', 7)
  old.tag('queued', 'queued', { local: 1, delivery: 7 })
  old.tag('delivered', 'delivered', { local: 0, delivery: 5 })
  old.tag('stored', 'stored', { local: 1 })
  old.tag('signed', 'pulled', { local: 0 })
  // Delivered once, and told later to store what is pushed: by digest alone.
  old.pushBlob('mixed', 'layer of both')
  for (const name of ['before', 'mixed'])
    old.pushManifest('mixed', name, [`layer of ${name}`, 'layer of both'])
  old.pushBlob('mixed', 'layer of before')
  old.tag('mixed', 'before', { local: 0, delivery: 6 })
  old.close()

  const { catalog } = await openCatalog(t, directory)
  t.strictSame(drifts(directory), [])
  const kept = async (where: Where) => {
    const repository = parseRepositoryKey(KEYS[where])
    const names = [where, `layer of ${where}`]
    const holds = await Promise.all(names.map(n => catalog.holdsOf(repository, digestNamed(n))))
    const found = await Promise.all(names.map(name => catalog.findContent(digestNamed(name))))
    return [...holds, ...found.map(content => content?.contentClass)]
  }
  t.strictSame(await kept('local'), [['pushed'], ['pushed'], 'kept', 'kept'])
  t.strictSame(await kept('queued'), [['undelivered'], ['undelivered'], 'kept', 'kept'])
  t.strictSame(await kept('delivered'), [[], [], 'cached', 'cached'])
  t.strictSame(await kept('stored'), [['pushed'], ['pushed'], 'kept', 'kept'])
  const isHeld = [['pushed'], ['pushed'], 'kept', 'kept']
  t.strictSame(await kept('untagged'), isHeld, 'nothing could tell')
  t.strictSame(
    await kept('signed'),
    isHeld,
    'pushed by digest, as signatures are, beside tags that only the upstream ever gave',
  )
  t.strictSame(await kept('mixed'), isHeld, 'no tag that was delivered leads to it')
  const classOf = async (name: string) =>
    (await catalog.findContent(digestNamed(name)))?.contentClass
  t.equal(await classOf('before'), 'cached')
  t.equal(await classOf('layer of before'), 'cached')
  t.equal(await classOf('layer of both'), 'kept')
  await catalog.stampLoose(9)
  t.match(await catalog.listLooseSince({ beforeMs: 10, limit: 9 }), [
    { digest: digestNamed('nothing lists it') },
  ])
  const { images: coldest } = await catalog.listColdest({ limit: 9 })
  t.same(
    new Set(coldest.map(({ digest }) => digest)),
    new Set(['delivered', 'before'].map(digestNamed)),
  )
})

t.test('R433: facts are compared once more, of which version 2000 left too many', async t => {
  const directory = t.testdir({})
  const old = new Version2000(directory)
  old.markCompared()
  old.close()
  t.equal((await openCatalog(t, directory)).catalog.compared, false)
})

t.test('R430: what version 2000 kept beside a manifest that it did not read stays', async t => {
  const directory = t.testdir({})
  const old = new Version2000(directory)
  old.pushBlob('local', 'sbom')
  old.pushBlob('local', 'sent today')
  old.promise('local', 'sent today')
  old.pushManifest('local', 'artifact', [])
  old.pushBlob('stored', 'nothing lists it')
  old.pushManifest('stored', 'image', ['layer'])
  old.close()

  const { catalog } = await openCatalog(t, directory)
  t.strictSame(drifts(directory), [])
  const local = parseRepositoryKey(KEYS.local)
  const isHeld = async (name: string) => {
    t.strictSame(await catalog.holdsOf(local, digestNamed(name)), ['pushed'])
    t.match(await catalog.findContent(digestNamed(name)), { contentClass: 'kept' })
  }
  await isHeld('sbom')
  const pending = { repository: local, digest: digestNamed('sent today'), acknowledgedAtMs: 1 }
  await catalog.expirePendingBlob(pending)
  await isHeld('sent today')
  await catalog.stampLoose(9)
  t.match(await catalog.listLooseSince({ beforeMs: 10, limit: 9 }), [
    { digest: digestNamed('nothing lists it') },
  ])
  await catalog.removeMember(local, digestNamed('sbom'))
  t.match(await catalog.findContent(digestNamed('sbom')), { contentClass: 'cached' })
})

t.test(
  'what version 2000 pushed stays kept when a later push of it elsewhere is deleted',
  async t => {
    const directory = t.testdir({})
    const old = new Version2000(directory)
    old.pushBlob('untagged', 'layer')
    old.pushManifest('untagged', 'image', ['layer'])
    old.close()

    const { catalog } = await openCatalog(t, directory)
    const digest = digestNamed('image')
    const repository = parseRepositoryKey(KEYS.stored)
    const manifest = { digest, mediaType: 'x/manifest', sizeBytes: 500, edges: [] }
    const push = { repository, manifest, hold: 'pushed', tags: [] } as const
    await catalog.recordPush({ ...push, atMs: 2 })
    await catalog.removeMember(repository, digest)
    t.match(await catalog.findContent(digest), { contentClass: 'kept' })
    t.strictSame((await catalog.listColdest({ limit: 9 })).images, [])
  },
)

t.test('what version 2000 writes on a newer file is counted, and nothing of it leaves', async t => {
  const directory = t.testdir({})
  const { catalog: first } = await openCatalog(t, directory)
  const lone = [digestNamed('layer'), digestNamed('image')]
  await first.adopt(
    lone.map(digest => ({ digest, sizeBytes: 500 })),
    1,
  )
  await first.letGo({ digests: lone, reason: 'collected', atMs: 2 })
  await first.close()

  const old = new Version2000(directory)
  old.pushBlob('local', 'layer')
  old.pushManifest('local', 'image', ['layer'])
  old.pushManifest('local', 'image', ['layer', 'second'])
  old.pushManifest('local', 'other', ['layer', 'layer'])
  old.removeMember('local', 'other')
  old.close()

  const { catalog } = await openCatalog(t, directory)
  t.strictSame(drifts(directory), [])
  t.strictSame(await catalog.listLeaving({ limit: 9 }), [], 'it has come again')
  await catalog.stampLoose(9)
  t.match(await catalog.listLooseSince({ beforeMs: 10, limit: 9 }), [
    { digest: digestNamed('other'), contentClass: 'kept' },
  ])
  await catalog.evictImage({
    repository: parseRepositoryKey(KEYS.local),
    digest: digestNamed('image'),
    reason: 'evicted',
    atMs: 9,
  })
  t.match(await catalog.findContent(digestNamed('image')), { contentClass: 'kept' })
})

t.test('what version 2000 pushed twice stays kept when this one deletes it once', async t => {
  const directory = t.testdir({})
  await (await openCatalog(t, directory)).catalog.close()
  const old = new Version2000(directory)
  for (const where of ['local', 'stored', 'untagged'] as const) {
    old.pushBlob(where, 'layer')
    old.pushManifest(where, 'image', ['layer'])
  }
  old.close()

  const { catalog } = await openCatalog(t, directory)
  const [image, layer] = [digestNamed('image'), digestNamed('layer')]
  const stored = parseRepositoryKey(KEYS.stored)
  const isKept = async () => {
    for (const digest of [image, layer])
      t.match(await catalog.findContent(digest), { contentClass: 'kept' })
    t.strictSame((await catalog.listColdest({ limit: 9 })).images, [])
  }
  await catalog.removeMember(parseRepositoryKey(KEYS.untagged), image)
  await isKept()
  const manifest = { digest: image, mediaType: 'x/manifest', sizeBytes: 500, edges: [] }
  const push = {
    repository: stored,
    manifest,
    hold: 'pushed',
    tags: [],
  } as const
  await catalog.recordPush({ ...push, atMs: 2 })
  t.strictSame(await catalog.holdsOf(stored, image), ['pushed'])
  await catalog.removeMember(stored, image)
  t.match(await catalog.findContent(image), { contentClass: 'kept' }, 'localhost was given it')
})
