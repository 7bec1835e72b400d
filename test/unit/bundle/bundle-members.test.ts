// Goal: what is no bundle is refused by the name of what is wrong, before anything of it is taken,
// and a hostile one costs no memory. Method: archives with members that a bundle has not, in other
// orders, doubled and cut, written here by hand.
import t from 'tap'
import { bundleMembers } from '../../../src/bundle/bundle-members.ts'
import {
  blobName,
  INDEX_NAME,
  INVENTORY_NAME,
  LAYOUT_NAME,
  LAYOUT_TEXT,
} from '../../../src/bundle/layout.ts'
import { paddingOf, TAR_END_BYTES, tarHead } from '../../../src/bundle/tar-head.ts'
import { tarPieces } from '../../../src/bundle/tar-pieces.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { collect, inPieces, withChecksum } from '../../kit/bundle.ts'

interface Member {
  readonly name: string
  readonly text?: string
  /** Of the head, as ustar has it; default a regular file. */
  readonly type?: string
}

const BLOB = 'a blob'
const BLOB_NAME = blobName(digestOf(Buffer.from(BLOB)))
const FIRST: readonly Member[] = [
  { name: LAYOUT_NAME, text: LAYOUT_TEXT },
  { name: INDEX_NAME, text: '{}' },
  { name: INVENTORY_NAME, text: 'lines' },
]

function partsOf({ name, text = '', type }: Member): readonly Buffer[] {
  const bytes = Buffer.from(text)
  const head = tarHead({ name, sizeBytes: bytes.length })
  if (type !== undefined) withChecksum(head.fill(type, 156, 157))
  return [head, bytes, Buffer.alloc(paddingOf(bytes.length))]
}

function archiveOf(members: readonly Member[]): Buffer {
  return Buffer.concat([...members.flatMap(partsOf), Buffer.alloc(TAR_END_BYTES)])
}

/** Kinds and bytes, of all. */
async function read(archive: Buffer, pieceBytes = 1_000): Promise<readonly string[]> {
  const found: string[] = []
  for await (const { kind, bytes } of bundleMembers(tarPieces(inPieces(archive, pieceBytes))))
    found.push(`${kind}: ${String(await collect(bytes))}`)
  return found
}

t.test('members come in their order, also where nobody reads their bytes', async t => {
  const archive = archiveOf([...FIRST, { name: BLOB_NAME, text: BLOB }])
  const all = [`layout: ${LAYOUT_TEXT}`, 'index: {}', 'inventory: lines', `blob: ${BLOB}`]
  for (const pieceBytes of [1, 512, 100_000]) t.same(await read(archive, pieceBytes), all)
  const kinds: string[] = []
  for await (const { kind } of bundleMembers(tarPieces(inPieces(archive, 700)))) kinds.push(kind)
  t.same(kinds, ['layout', 'index', 'inventory', 'blob'])
})

t.test('R897: links, devices, directories and names of anywhere are refused by name', async t => {
  for (const type of ['1', '2', '3', '4', '5', '6', 'S', 'V']) {
    const archive = archiveOf([...FIRST, { name: BLOB_NAME, type }])
    await t.rejects(read(archive), { message: /^"blobs\/sha256\/\w+" is no file/ }, `kind ${type}`)
  }
  const names = [
    '../../etc/cron.d/x',
    '/etc/passwd',
    `./${BLOB_NAME}`,
    `blobs/sha256/../${BLOB_NAME}`,
    `blobs/md5/${'0'.repeat(32)}`,
    'blobs/sha256/0123',
    'manifest.json',
    LAYOUT_NAME,
    INVENTORY_NAME,
  ]
  for (const name of names) {
    const archive = archiveOf([...FIRST, { name }])
    await t.rejects(read(archive), { message: /belongs into no bundle/ }, name)
  }
})

t.test('R897: another order, and what is missing, is refused', async t => {
  const [layout, index, inventory] = FIRST as [Member, Member, Member]
  for (const members of [
    [index, layout, inventory],
    [layout, inventory],
    [{ name: BLOB_NAME, text: BLOB }],
    [layout, layout],
  ])
    await t.rejects(read(archiveOf(members)), { message: /this is no bundle/ })
  for (const members of [[], [layout], [layout, index]])
    await t.rejects(read(archiveOf(members)), { message: /ends before its inventory/ })
  const whole = archiveOf([...FIRST, { name: BLOB_NAME, text: BLOB }])
  for (const length of [0, 100, 700, whole.length - 600])
    await t.rejects(read(whole.subarray(0, length)), /before its end/, `${length} bytes`)
  await t.rejects(read(Buffer.from('no archive'.repeat(100))), { message: /no head of a member/ })
})
