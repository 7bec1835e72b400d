// Goal: what a bundle is passed on as was right, and one that is not never looks whole.
// Method: a bundle of a few members, made by hand, passed on whole, in stretches, cut and changed.
import t from 'tap'
import { CheckedBundle, RottenBlob } from '../../../src/bundle/checked-bundle.ts'
import { writeInventory } from '../../../src/bundle/inventory.ts'
import {
  blobName,
  INDEX_NAME,
  INVENTORY_NAME,
  LAYOUT_NAME,
  LAYOUT_TEXT,
} from '../../../src/bundle/layout.ts'
import { paddingOf, TAR_END_BYTES, tarHead } from '../../../src/bundle/tar-head.ts'
import { BundleFault } from '../../../src/bundle/tar-pieces.ts'
import { digestHex, digestOf } from '../../../src/oci/digest.ts'
import { collect, inPieces, makeSigner } from '../../kit/bundle.ts'

const signer = makeSigner()
const blobs = ['one', 'two'.repeat(1_000), ''].map(text => Buffer.from(text))
const contents = blobs
  .map(bytes => ({ content: digestOf(bytes), size: bytes.length }))
  .sort((a, b) => (a.content < b.content ? -1 : 1))

async function makeBundle(more: readonly Buffer[] = []): Promise<Buffer> {
  const index = Buffer.from('{"manifests":[]}')
  const parts = { edge: 'e', index: digestHex(digestOf(index)), images: [], contents }
  const inventory = await collect(writeInventory(parts, signer))
  return Buffer.concat([
    memberOf(LAYOUT_NAME, Buffer.from(LAYOUT_TEXT)),
    memberOf(INDEX_NAME, index),
    memberOf(INVENTORY_NAME, inventory),
    ...blobs.map(bytes => memberOf(blobName(digestOf(bytes)), bytes)),
    ...more,
    Buffer.alloc(TAR_END_BYTES),
  ])
}

function memberOf(name: string, bytes: Buffer): Buffer {
  const padding = Buffer.alloc(paddingOf(bytes.length))
  return Buffer.concat([tarHead({ name, sizeBytes: bytes.length }), bytes, padding])
}

/** What came out, whether or not it failed. */
async function pass(check: CheckedBundle, bundle: Buffer) {
  const out: Uint8Array[] = []
  let failed: unknown
  try {
    for await (const piece of check.pass(inPieces(bundle, 1_000))) out.push(Buffer.from(piece))
  } catch (error) {
    failed = error
  }
  return { bytes: Buffer.concat(out), failed }
}

t.test('a bundle that is right comes out as it went in', async t => {
  const bundle = await makeBundle()
  const check = new CheckedBundle()
  t.same(await pass(check, bundle), { bytes: bundle, failed: undefined })
  t.match(check, { isWhole: true, verifiedBytes: bundle.length })
  t.match(check.inventory, /^[0-9a-f]{64}$/)
})

t.test('R832: a blob that has rotted is named, and never passed on whole', async t => {
  const bundle = await makeBundle()
  for (const bytes of blobs.slice(0, 2)) {
    const rotten = Buffer.from(bundle)
    const at = rotten.indexOf(bytes.subarray(0, 900))
    rotten[at] = (rotten[at] ?? 0) ^ 1
    const { bytes: out, failed } = await pass(new CheckedBundle(), rotten)
    t.match(failed, { digest: digestOf(bytes) })
    t.equal(failed instanceof RottenBlob, true)
    t.ok(out.length < at + bytes.length, 'its last bytes are held back')
  }
})

t.test('R836: what is left of a bundle is believed up to its last whole member', async t => {
  const bundle = await makeBundle()
  for (let length = 0; length < bundle.length; length += 300) {
    const check = new CheckedBundle()
    const { failed } = await pass(check, bundle.subarray(0, length))
    t.match(failed, { isCut: true })
    const from = check.verifiedBytes
    t.ok(from <= length && from % 512 === 0)
    const rest = await pass(check, bundle.subarray(from))
    t.match(rest, { bytes: bundle.subarray(from), failed: undefined }, `${length} bytes`)
    t.match(check, { isWhole: true, verifiedBytes: bundle.length })
  }
})

t.test('what belongs into no bundle is refused by its name', async t => {
  for (const name of ['../x', '/etc/passwd', 'blobs/sha256/xyz', 'blobs/md5/00', 'more']) {
    const bundle = await makeBundle([memberOf(name, Buffer.from('x'))])
    const { failed } = await pass(new CheckedBundle(), bundle)
    t.equal(failed instanceof BundleFault, true)
    t.match(failed, { message: `"${name}" belongs into no bundle` })
  }
})

t.test('a bundle whose inventory was changed is refused', async t => {
  const bundle = Buffer.from(
    (await makeBundle()).toString('latin1').replace('"e"', '"f"'),
    'latin1',
  )
  t.match((await pass(new CheckedBundle(), bundle)).failed, {
    message: /not the one that was signed/,
  })
})

t.test('R830: a bundle of which any byte was changed is refused', async t => {
  const bundle = await makeBundle()
  for (let at = 0; at < bundle.length - TAR_END_BYTES; at += 7) {
    const flipped = Buffer.from(bundle)
    flipped[at] = (flipped[at] ?? 0) ^ 1
    const { failed } = await pass(new CheckedBundle(), flipped)
    t.ok(failed instanceof BundleFault, `a bit of byte ${at}`)
  }
})
