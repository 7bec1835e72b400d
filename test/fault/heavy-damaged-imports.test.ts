// Goal: of a thousand bundles that were damaged on their way nothing wrong is published (R892).
// Method: bundles of two images, changed by a seeded chance in six ways, each given to an edge
// that trusts one key; whatever the command says, what a client gets afterwards under any name is
// the image that was exported, or nothing.
import { readFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import { INVENTORY_NAME } from '../../src/bundle/layout.ts'
import { runCli } from '../kit/cli.ts'
import { startTestEdge, type TestEdge } from '../kit/edge.ts'
import { type Image, makeImage } from '../kit/image.ts'
import { judge } from '../kit/judges/oracle.ts'
import { createRandom, type Random, seedOf } from '../kit/seeded.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { at, keyOf, OFFLINE, startTwoEdges } from '../kit/worlds/two-edges.ts'

t.setTimeout(600_000)

const BUNDLES = 1_000
/** What an earlier one has left is believed: a new edge now and then, which has nothing. */
const AT_ONE_EDGE = 20
const BLOCK = 512
const SEED = seedOf(process.env)

const images = [0, 1].map(each => makeImage({ seed: `damaged ${each}`, layers: [4_000, 900] }))
const NAMES = ['docker.io/library/app:v0', 'docker.io/library/app:v1'] as const

/** Of an archive, each with its head; the end last. */
function membersOf(bundle: Buffer): Buffer[] {
  const members: Buffer[] = []
  let from = 0
  while (bundle[from] !== 0) {
    const size = Number.parseInt(bundle.toString('latin1', from + 124, from + 135), 8)
    const end = from + BLOCK + Math.ceil(size / BLOCK) * BLOCK
    members.push(bundle.subarray(from, end))
    from = end
  }
  return [...members, bundle.subarray(from)]
}

const isInventory = (member: Buffer) => member.toString('latin1', 0, 18) === INVENTORY_NAME

interface Bundles {
  readonly right: Buffer
  /** The same images, signed by another edge. */
  readonly otherKey: Buffer
  /** Of other images, by the right one. */
  readonly otherImages: Buffer
}

type Damage = (random: Random, bundles: Bundles) => Buffer

const flipped: Damage = (random, { right }) => {
  const bytes = Buffer.from(right)
  for (let times = random.between(1, 3); times > 0; times -= 1) {
    const place = random.below(bytes.length)
    bytes[place] = (bytes[place] ?? 0) ^ (1 << random.below(8))
  }
  return bytes
}

const cut: Damage = (random, { right }) => right.subarray(0, random.below(right.length))

const reordered: Damage = (random, { right }) => {
  const members = membersOf(right)
  const end = members.pop() ?? Buffer.alloc(0)
  const [moved] = members.splice(random.below(members.length), 1)
  if (moved !== undefined) members.splice(random.below(members.length + 1), 0, moved)
  return Buffer.concat([...members, end])
}

const doubled: Damage = (random, { right }) => {
  const members = membersOf(right)
  const twice = members[random.below(members.length)] ?? Buffer.alloc(0)
  members.splice(random.below(members.length), 0, twice)
  return Buffer.concat(members)
}

const otherKey: Damage = (random, { otherKey: other, right }) =>
  random.oneIn(2) ? other : withInventoryOf(other, right)

const replaced: Damage = (_random, { right, otherImages }) => withInventoryOf(otherImages, right)

function withInventoryOf(other: Buffer, bundle: Buffer): Buffer {
  const inventory = membersOf(other).find(isInventory) ?? Buffer.alloc(0)
  const members = membersOf(bundle).map(member => (isInventory(member) ? inventory : member))
  return Buffer.concat(members)
}

const DAMAGES: readonly [Damage, ...Damage[]] = [
  flipped,
  cut,
  reordered,
  doubled,
  otherKey,
  replaced,
]

async function makeBundles(t: Test): Promise<Bundles & { readonly key: string }> {
  const { stub, from, exported } = await startTwoEdges(t)
  const other = await startStub(t)
  for (const [each, image] of images.entries()) stub.addImage('library/app', `v${each}`, image)
  for (const [each, image] of images.entries()) other.addImage('library/app', `v${each}`, image)
  stub.addImage('library/other', 'v0', makeImage({ seed: 'damaged other', layers: [700] }))
  const stranger = await startTestEdge(t, { upstreams: { 'docker.io': { url: other.url } } })
  const right = await exported('right.tar', ...NAMES)
  const strange = `${right}.strange`
  t.match(await at(stranger)('export', ...NAMES, '-o', strange), { exitCode: 0 })
  const otherImages = await exported('other.tar', 'docker.io/library/other:v0')
  return {
    right: readFileSync(right),
    otherKey: readFileSync(strange),
    otherImages: readFileSync(otherImages),
    key: await keyOf(from),
  }
}

/** Whole and right, not there, or what is wrong. */
async function stateOf(edge: TestEdge, tag: string, image: Image) {
  const headers = { accept: image.manifest.mediaType }
  const answer = await edge.get(`/v2/library/app/manifests/${tag}`, headers)
  if (answer.status === 404) return 'none'
  if (!answer.body.equals(image.manifest.bytes)) return 'wrong manifest'
  for (const blob of [image.config, ...image.layers]) {
    const { status, body } = await edge.get(`/v2/library/app/blobs/${blob.digest}`)
    if (status !== 200 || !body.equals(Buffer.from(blob.bytes()))) return `wrong ${blob.digest}`
  }
  return 'whole'
}

t.test('R892: a thousand damaged bundles publish nothing that is wrong', async t => {
  const bundles = await makeBundles(t)
  const random = createRandom(SEED)
  t.comment(`SEED=${SEED}`)
  const wrong: string[] = []
  let refused = 0
  for (let number = 0; number < BUNDLES; number += AT_ONE_EDGE) {
    const edge = await startTestEdge(t, {
      upstreams: OFFLINE,
      config: { import: { trustedkeys: [bundles.key] } },
    })
    for (let each = number; each < number + AT_ONE_EDGE; each += 1) {
      const damage = random.pick(DAMAGES)
      const stdin = Object.assign(Readable.from([damage(random, bundles)]), { isTTY: false })
      const { exitCode } = await runCli(['import', '-', '--socket', edge.socket], { stdin })
      if (exitCode !== 0) refused += 1
      else if (damage === otherKey) wrong.push(`${each}: the other key is taken`)
      for (const [which, image] of images.entries()) {
        const state = await stateOf(edge, `v${which}`, image)
        if (state.startsWith('wrong')) wrong.push(`${each} ${damage.name}: ${state}`)
        if (exitCode === 0 && state === 'none') wrong.push(`${each} ${damage.name}: it was told so`)
      }
    }
    const { stdout } = await at(edge)('inventory')
    const names = stdout.match(/(?<="image":")[^"]+/g) ?? []
    if (names.some(name => !NAMES.some(right => right === name))) wrong.push(names.join(' '))
    wrong.push(...(await judge(edge.dataDirectory)).wrong)
    await edge.stop()
  }
  t.comment(`${refused} of ${BUNDLES} were refused; of the rest no byte was other that counts`)
  t.same(wrong, [])
  t.ok(refused > BUNDLES / 2, 'most damage is seen')
})
