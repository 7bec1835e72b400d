// Goal: an inventory that was read to its end is the one that was signed, and any other is none.
// Method: written, read back in pieces, and changed in every way that a carrier could.
import { verify } from 'node:crypto'
import t from 'tap'
import { bundleKeyFrom, bundleKeyId, bundleKeyPem } from '../../../src/bundle/bundle-key.ts'
import { type InventoryLine, writeInventory } from '../../../src/bundle/inventory.ts'
import { InventoryReader } from '../../../src/bundle/inventory-reader.ts'
import { BundleFault } from '../../../src/bundle/tar-pieces.ts'
import { type Digest, digestOf } from '../../../src/oci/digest.ts'
import { collect, makeSigner } from '../../kit/bundle.ts'

const signer = makeSigner()
const digests = Array.from({ length: 5 }, (_, at) => digestOf(Buffer.from(`${at}`))).sort()
const [first, second, third] = digests as [Digest, Digest, Digest]

const PARTS = {
  edge: 'edge-1',
  images: [
    { image: 'docker.io/library/alpine:3', digest: first, changedAtMs: 17 },
    { image: 'docker.io/library/alpine-x:1', digest: second, order: { edge: 'e', number: 4 } },
    { image: 'localhost/app:v1', digest: first, changedAtMs: 1 },
    { image: `localhost/app@${second}`, digest: second },
  ],
  contents: [
    { content: first, size: 10, type: 'application/x+json', in: ['docker.io/library/alpine'] },
    { content: second, size: 20, state: 'supposed' as const },
    { content: third, size: 30 },
  ],
}

const written = () => collect(writeInventory(PARTS, signer))

function read(text: Buffer, pieceBytes = 7) {
  const reader = new InventoryReader()
  const lines: InventoryLine[] = []
  for (let at = 0; at < text.length; at += pieceBytes)
    lines.push(...reader.push(text.subarray(at, at + pieceBytes)))
  return { lines, end: reader.finish() }
}

t.test('what was written is read again, in pieces of any size', async t => {
  const text = await written()
  for (const pieceBytes of [1, 7, 100_000]) {
    const { lines, end } = read(text, pieceBytes)
    t.same(lines.slice(1, -1), [...PARTS.images, ...PARTS.contents])
    t.match(end, {
      edge: 'edge-1',
      version: 1,
      end: { images: 4, contents: 3, bytes: 40 },
      key: signer.key,
    })
  }
  t.same(await written(), text, 'the same parts are the same bytes')
})

t.test('R830: an inventory that was changed or cut anywhere is none', async t => {
  const text = await written()
  for (let at = 0; at < text.length; at += 3) {
    const flipped = Buffer.from(text)
    flipped[at] = (flipped[at] ?? 0) ^ 1
    t.throws(() => read(flipped), BundleFault, `a bit of byte ${at}`)
    t.throws(() => read(text.subarray(0, at)), BundleFault, `cut at ${at}`)
  }
  t.throws(() => read(Buffer.concat([text, text])), /goes on behind its signature/)
})

t.test('R830: one that somebody else signed says whose it is, and not another', async t => {
  const other = makeSigner()
  const theirs = await collect(writeInventory(PARTS, other))
  t.equal(read(theirs).end.key, other.key)
  const claimed = Buffer.from(theirs.toString().replace(other.key, signer.key))
  t.throws(() => read(claimed), /is not signed by the key that it names/)
})

t.test('lines that are not in their order are refused, and double ones', async t => {
  const { images, contents } = PARTS
  for (const parts of [
    { ...PARTS, images: images.toReversed() },
    { ...PARTS, contents: contents.toReversed() },
    { ...PARTS, contents: [...contents, ...contents.slice(-1)] },
  ]) {
    const text = await collect(writeInventory(parts, signer))
    t.throws(() => read(text), /is not in its order/)
  }
})

t.test('R931: values of other types and beyond their bounds are refused', async t => {
  const image = (more: object) => ({ images: [{ ...PARTS.images[0], ...more }] })
  const content = (more: object) => ({ contents: [{ ...PARTS.contents[0], ...more }] })
  const nested: unknown[] = []
  const deep = Array.from({ length: 1_000 }).reduce<unknown[]>(inner => [inner], nested)
  const parts: Record<string, object> = {
    'a long identity': { edge: 'e'.repeat(60_000) },
    'an identity that clears the screen': { edge: 'e\u001b[2J' },
    'a number that no edge gives': image({ order: { edge: 'e', number: Number.MAX_SAFE_INTEGER } }),
    'an order of a long identity': image({ order: { edge: 'e'.repeat(300), number: 1 } }),
    'a time that never comes': image({ changedAtMs: Number.MAX_SAFE_INTEGER }),
    'a time before all': image({ changedAtMs: -1 }),
    'an object as a media type': content({ type: { toString: 1 } }),
    'a long media type': content({ type: 'a'.repeat(300) }),
    'what is deep': content({ in: deep }),
    'more repositories than are written': content({ in: Array.from({ length: 1_001 }, String) }),
    'a state that nobody knows': content({ state: 'elsewhere' }),
  }
  for (const [name, more] of Object.entries(parts)) {
    const text = await collect(writeInventory({ ...PARTS, ...more } as typeof PARTS, signer))
    t.throws(() => read(text, 65_536), BundleFault, name)
  }
})

t.test('a line without an end is refused before it fills the memory', async t => {
  const reader = new InventoryReader()
  const piece = Buffer.alloc(512 * 1024, 'x')
  t.throws(() => {
    for (let times = 0; times < 4; times += 1) for (const _ of reader.push(piece));
  }, /a line that is too long/)
})

t.test('a key is one word, with an id, and others can verify by it', async t => {
  const { key } = signer
  t.equal(bundleKeyFrom(key), key)
  for (const odd of ['', 'ed25519:', key.slice(1), `${key}=`, key.toUpperCase()])
    t.equal(bundleKeyFrom(odd), undefined, odd)
  t.match(bundleKeyId(key), /^[0-9a-f]{16}$/)
  const { end } = read(await written())
  const statement = `entrepot inventory 1\nsha256:${end.sha256}\n`
  const signature = Buffer.from(end.signature, 'base64')
  t.equal(verify(null, Buffer.from(statement), bundleKeyPem(key), signature), true)
})
