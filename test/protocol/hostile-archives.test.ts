// Goal: who writes an archive to do harm is told what is wrong with it, and does none: no name, no
// file beside the data directory, and no memory but what has a bound. Method: archives that no
// honest program writes, made here, sent by the command; how much of one is taken before it is
// refused is counted.
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { blobName } from '../../src/bundle/layout.ts'
import { tarHead } from '../../src/bundle/tar-head.ts'
import { digestOf } from '../../src/oci/digest.ts'
import {
  archiveOf,
  byName,
  dockerMembers,
  indexOf,
  LAYOUT,
  layoutMembers,
  type Member,
  memberBytes,
  savedImage,
  text,
} from '../kit/archives.ts'
import { withChecksum } from '../kit/bundle.ts'
import { runCli } from '../kit/cli.ts'
import { startTestEdge, type TestEdge } from '../kit/edge.ts'
import { type Image, makeImage, makeIndex } from '../kit/image.ts'

const image = makeImage({ seed: 'hostile', layers: [3_000] })
const NAME = 'docker.io/library/app:v1'
const honest = layoutMembers([byName(image, NAME)])
const blob = blobName(image.layers[0]!.digest)
const hex = (letter: string) => letter.repeat(64)
const MIB = 1024 * 1024

async function start(t: Test) {
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: 'http://127.0.0.1:1', offline: true } },
  })
  const home = await mkdtemp(join(tmpdir(), 'hostile-'))
  t.teardown(() => rm(home, { recursive: true }))
  return { edge, home, refuses: refusing(t, edge) }
}

/** Sends as much of it as is taken, and returns how much that was. */
const refusing =
  (t: Test, edge: TestEdge) =>
  async (pieces: Iterable<Uint8Array>, stderr: RegExp, what: string): Promise<number> => {
    let sentBytes = 0
    function* counted() {
      for (const piece of pieces) {
        sentBytes += piece.length
        yield piece
      }
    }
    const stdin = Object.assign(Readable.from(counted()), { isTTY: false })
    const result = await runCli(['import', '-', '--socket', edge.socket], { stdin })
    t.match(result, { exitCode: 1, stderr }, what)
    const { mediaType: accept, digest } = image.manifest
    for (const reference of ['v1', digest]) {
      const { status } = await edge.get(`/v2/library/app/manifests/${reference}`, { accept })
      t.equal(status, 404, `${what}: nothing is published`)
    }
    return sentBytes
  }

const instead = (name: string, member: Partial<Member>) =>
  honest.map(each => (each.name === name ? { ...each, ...member } : each))

t.test('R953: links, devices, sparse files and names of anywhere are refused by name', async t => {
  const { edge, home, refuses } = await start(t)
  const before = readdirSync(edge.dataDirectory)
  for (const type of ['1', '3', '4', '6', 'S', 'V', 'Z']) {
    const odd = instead(blob, { type, target: '/etc/passwd', bytes: Buffer.alloc(0) })
    await refuses([archiveOf(odd)], /"blobs\/sha256\/\w+" is no file/, `kind ${type}`)
  }
  const link = { type: '2', bytes: Buffer.alloc(0) }
  for (const target of [
    '/etc/passwd',
    '../../../etc/passwd',
    '../x/../../y/layer.tar',
    'layer.tar',
  ]) {
    const layout = instead(blob, { ...link, target })
    await refuses([archiveOf(layout)], /is a link that leads to no layer/, `to ${target}`)
  }
  for (const target of ['/etc/passwd', '../../etc/layer.tar', '../../layer.tar', '..', '']) {
    const layer = { ...link, name: `${hex('a')}/layer.tar`, target }
    await refuses([archiveOf([layer, ...honest])], /is a link that leads/, `a layer to ${target}`)
  }
  const escape = join(home, 'escape')
  const names = [
    `../../../..${escape}`,
    escape,
    `blobs/sha256/../../../${hex('b')}`,
    'blobs//sha256/x.json',
    'a/./b.json',
    '..',
    'with\nline.json',
    'x'.repeat(90) + '/' + 'y'.repeat(300),
  ]
  for (const name of names)
    await refuses(
      [archiveOf([...honest, { name, bytes: Buffer.from('harm') }])],
      /no name was imported: .* is no name of a member that is taken/,
      JSON.stringify(name.slice(0, 50)),
    )
  t.notOk(existsSync(escape))
  t.same(readdirSync(home), [])
  t.same(readdirSync(edge.dataDirectory), before, 'as it was')
})

t.test('R953: doubles, and what is said of members by pax, are refused by name', async t => {
  const { refuses } = await start(t)
  for (const name of [blob, 'index.json', 'oci-layout'])
    await refuses(
      [archiveOf([...honest, { name, bytes: text({}) }])],
      /"[^"]+" is there twice/,
      `${name} twice`,
    )
  /** Of records whose length has two digits. */
  const pax = (record: string, type = 'x') => {
    const length = record.length + 4
    return { name: 'pax', type, bytes: Buffer.from(`${length} ${record}\n`) }
  }
  const cases: [Member, RegExp][] = [
    [pax('GNU.sparse.realsize=99'), /is sparse/],
    [pax('size=-1 '), /has no size/],
    [pax('size=99999999999999999999'), /has no size/],
    [pax('path=../../etc/passwd'), /is no name of a member/],
    [pax('size=10000', 'g'), /of all members is said at once/],
    [pax('path=x.json', 'g'), /of all members is said at once/],
    [{ name: 'pax', type: 'x', bytes: Buffer.from('no record at all') }, /cannot be read/],
  ]
  for (const [member, fault] of cases)
    await refuses([archiveOf([member, ...honest])], fault, String(member.bytes))
})

t.test('R956: a head that says a gigabyte of a member is not read', async t => {
  const { refuses } = await start(t)
  const long = (type: string, sizeBytes: number) => {
    const head = tarHead({ name: 'pax', sizeBytes })
    head.write(type, 156)
    return withChecksum(head)
  }
  for (const type of ['x', 'g', 'L', 'K']) {
    const sent = await refuses(zeros(long(type, 2 ** 30), 2 ** 30), /is too long/, `kind ${type}`)
    t.ok(sent < 64 * MIB, `${sent} bytes were taken`)
  }
  const each = memberBytes({ name: 'pax', type: 'x', bytes: Buffer.from('12 a=bcdefg\n') })
  await refuses([Buffer.concat(Array.from({ length: 100 }, () => each))], /is too long/, 'many')
})

function* zeros(first: Uint8Array, sizeBytes: number): Generator<Uint8Array> {
  yield first
  for (let left = sizeBytes; left > 0; left -= MIB) yield Buffer.alloc(Math.min(left, MIB))
}

t.test('R956: an index of a gigabyte, and a million members, are refused as they come', async t => {
  const { refuses } = await start(t)
  for (const name of ['index.json', 'manifest.json', 'oci-layout']) {
    const head = tarHead({ name, sizeBytes: 2 ** 30 })
    const sent = await refuses(zeros(head, 2 ** 30), /has 1073741824 bytes; at most 4194304/, name)
    t.ok(sent < 64 * MIB, `${sent} bytes were taken`)
  }
  function* many() {
    for (let at = 0; at < 1_000_000; at += 100) {
      const names = Array.from({ length: 100 }, (_, each) => `note-${at + each}`)
      yield Buffer.concat(names.map(name => memberBytes({ name })))
    }
  }
  const sent = await refuses(many(), /there are more than 200000 members/, 'many')
  t.ok(sent < 200 * MIB, `${sent} bytes were taken`)
})

t.test('R956: what unpacks to more than images do is no image', async t => {
  const { edge, home } = await start(t)
  const zero = Buffer.alloc(200 * MIB)
  const bomb = archiveOf([{ name: blobName(digestOf(zero)), bytes: zero }, ...honest])
  for (const [form, bytes] of [
    ['gzip', gzipSync(bomb)],
    ['zstd', zstdCompressSync(bomb)],
  ] as const) {
    writeFileSync(join(home, form), bytes)
    const result = await runCli(['import', join(home, form), '--socket', edge.socket])
    t.match(result, { exitCode: 1, stderr: /unpacks to more than 200 times its length/ }, form)
  }
})

t.test('R953: a size that is not true, and one that nobody has room for, are refused', async t => {
  const { refuses } = await start(t)
  const huge = tarHead({ name: blobName(digestOf(Buffer.from('x'))), sizeBytes: 10 ** 15 })
  await refuses([huge, Buffer.alloc(MIB)], /./, 'a petabyte')
  const unsafe = tarHead({ name: blob, sizeBytes: 0 })
  Buffer.alloc(12, 0xff).copy(unsafe, 124)
  await refuses([withChecksum(unsafe)], /a member has no size/, 'of all ones')
  const bytes = Buffer.from(image.layers[0]!.bytes())
  for (const wrong of [bytes.subarray(1), Buffer.concat([bytes, Buffer.alloc(1)])])
    await refuses([archiveOf(instead(blob, { bytes: wrong }))], /than its digest says/, 'wrong')
})

t.test('R956: however deep indexes and documents nest, they are walked as far as any', async t => {
  const { refuses } = await start(t)
  const nested = (deep: number, of: Image): Image =>
    deep === 0 ? of : nested(deep - 1, makeIndex([of]))
  const deep = layoutMembers([byName(nested(6, image), NAME)])
  await refuses([archiveOf(deep)], /indexes are in each other more than 4 deep/, 'indexes')
  const brackets = Buffer.from(`{"schemaVersion":2,"manifests":${'['.repeat(200)}`)
  const odd = [LAYOUT, { name: 'index.json', bytes: brackets }]
  await refuses([archiveOf(odd)], /index\.json is none: .*nests deeper than 64/, 'brackets')
  const twice = Buffer.from('{"schemaVersion":2,"manifests":[],"Manifests":[]}')
  await refuses([archiveOf([LAYOUT, { name: 'index.json', bytes: twice }])], /twice/, 'twice')
  const many = Array.from({ length: 10_001 }, () => byName(image, NAME))
  await refuses(
    [archiveOf([...honest.slice(0, -2), LAYOUT, indexOf(many)])],
    /more than 10000/,
    'many',
  )
  const saved = dockerMembers([savedImage('x', [Buffer.from('layer')], ['app:v1'])])
  for (const manifest of [{}, [null], [{ Config: 1 }], [{ Config: 'x', Layers: [{}] }]]) {
    const wrong = saved.map(each =>
      each.name === 'manifest.json' ? { ...each, bytes: text(manifest) } : each,
    )
    await refuses(
      [archiveOf(wrong)],
      /manifest\.json is none of docker save/,
      text(manifest).toString(),
    )
  }
  const outside = [{ Config: '../../../etc/passwd', RepoTags: ['app:v1'], Layers: ['/etc/shadow'] }]
  const reaching = saved.map(each =>
    each.name === 'manifest.json' ? { ...each, bytes: text(outside) } : each,
  )
  await refuses([archiveOf(reaching)], /names "[^"]+", and does not bring it/, 'outside')
})

t.test('R953: of two names for one tag, and of one for two images, none is taken', async t => {
  const { refuses } = await start(t)
  const other = makeImage({ seed: 'other', layers: [10] })
  const two = layoutMembers([byName(image, NAME), byName(other, NAME)])
  await refuses([archiveOf(two)], /library\/app:v1 is two images/, 'two')
})
