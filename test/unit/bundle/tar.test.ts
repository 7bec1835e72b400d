// Goal: an archive is written so that it can be read again, and one that is not as it should be is
// refused with the place, however it comes in.
// Method: members written and read back in pieces of several sizes; archives cut and changed.
import t from 'tap'
import { paddingOf, TAR_END_BYTES, tarBytesOf, tarHead } from '../../../src/bundle/tar-head.ts'
import { BundleFault, tarPieces } from '../../../src/bundle/tar-pieces.ts'
import { inPieces, withChecksum } from '../../kit/bundle.ts'

interface Read {
  readonly name: string
  readonly text: string
  readonly kind: string
}

const LONG_NAME = `blobs/sha512/${'0123456789abcdef'.repeat(8)}`

function archiveOf(members: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(members).flatMap(([name, text]) => {
    const member = { name, sizeBytes: Buffer.byteLength(text) }
    const bytes = [tarHead(member), Buffer.from(text), Buffer.alloc(paddingOf(member.sizeBytes))]
    t.equal(Buffer.concat(bytes).length, tarBytesOf(member), 'its size is known before')
    return bytes
  })
  return Buffer.concat([...parts, Buffer.alloc(TAR_END_BYTES)])
}

async function read(archive: Buffer, pieceBytes = 1_000): Promise<readonly Read[]> {
  const members: { name: string; text: string; kind: string }[] = []
  const raw: Uint8Array[] = []
  for await (const piece of tarPieces(inPieces(archive, pieceBytes))) {
    raw.push(Buffer.from(piece.raw))
    const { name = '', kind = '' } = piece.kind === 'head' ? piece.member : {}
    if (piece.kind === 'head') members.push({ name, kind, text: '' })
    const last = members.at(-1)
    if (piece.kind === 'bytes' && last !== undefined)
      last.text += Buffer.from(piece.raw).toString('latin1')
  }
  t.same(Buffer.concat(raw), archive, 'the pieces are the archive')
  return members
}

t.test('what was written is read again, in pieces of any size', async t => {
  const members = { 'oci-layout': '{}', empty: '', [LONG_NAME]: 'x'.repeat(5_000) }
  const archive = archiveOf(members)
  for (const pieceBytes of [1, 511, 512, 100_000])
    t.same(
      await read(archive, pieceBytes),
      Object.entries(members).map(([name, text]) => ({ name, text, kind: 'file' })),
      `${pieceBytes} bytes at a time`,
    )
})

t.test('a member of more than octal digits can say has its size in front', async t => {
  const sizeBytes = 0o77777777777 + 1
  const head = tarHead({ name: 'large', sizeBytes })
  const pieces = tarPieces(inPieces(Buffer.concat([head, Buffer.alloc(10)]), 512))
  t.match((await pieces.next()).value, { kind: 'head', member: { name: 'large', sizeBytes } })
  await t.rejects(async () => {
    for await (const _ of pieces);
  }, /ends at byte/)
})

t.test('an archive that is cut anywhere is told as cut', async t => {
  const archive = archiveOf({ a: 'x'.repeat(700), b: 'y' })
  for (let length = 0; length < archive.length; length += 128) {
    const cut = archive.subarray(0, length)
    await t.rejects(read(cut), BundleFault, `${length} bytes`)
    await read(cut).catch((error: BundleFault) => t.equal(error.isCut, true))
  }
})

t.test('what is no archive, or goes on behind its end, is refused with the place', async t => {
  const archive = archiveOf({ a: 'x' })
  const flipped = Buffer.from(archive)
  flipped[3] = 0x7a
  await t.rejects(read(flipped), /at byte 512: this is no head of a member/)
  await t.rejects(read(Buffer.alloc(2_000, 'z')), /this is no head of a member/)
  await t.rejects(read(Buffer.concat([archive, Buffer.from('more')])), /behind the end/)
  t.same(await read(Buffer.concat([archive, Buffer.alloc(8_192)])), await read(archive))
})

t.test('links and devices are told as what they are', async t => {
  for (const type of ['1', '2', '3', '4', '6']) {
    const head = tarHead({ name: 'odd', sizeBytes: 0 })
    head.write(type, 156)
    const archive = Buffer.concat([withChecksum(head), Buffer.alloc(TAR_END_BYTES)])
    const kind = type === '2' ? 'symbolic link' : 'other'
    t.same(await read(archive), [{ name: 'odd', kind, text: '' }], `type ${type}`)
  }
})

t.test('what is said in front of a member has a bound', async t => {
  const head = tarHead({ name: 'pax', sizeBytes: 10_000_000 })
  head.write('x', 156)
  await t.rejects(read(withChecksum(head)), /what is said of a member is too long/)
  const bad = tarHead({ name: 'pax', sizeBytes: 512 })
  bad.write('x', 156)
  const archive = Buffer.concat([withChecksum(bad), Buffer.alloc(512, '9')])
  await t.rejects(read(archive), /what is said of a member cannot be read/)
})
