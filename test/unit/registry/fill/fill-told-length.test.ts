// Goal: what a part remembers of its blob's length is what an upstream told, and no manifest's word
// (R253): else every right answer would be held against it, as long as the part is here. Method:
// the engine over in-memory twins, with an upstream that is in trouble for one pull.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { blobAnswer, createEngine, readAll, repositoryOf } from '../../../kit/engine.ts'
import { partsLeft } from '../../../kit/disk/parts-left.ts'

const repository = repositoryOf('library/app')
const bytes = Buffer.alloc(300_000, 'content of a blob ')
const digest = digestOf(bytes)
/** Sent before the connection breaks. */
const PIECES = [0, 50_000, 100_000, 150_000].map(at => bytes.subarray(at, at + 50_000))
/** More than attempts in vain pause for. */
const STEP_MS = 5_000

function createWorld(saysBytes: number) {
  let isInTrouble = true
  let asked = 0
  const down = () => new UpstreamError('unavailable', 'the connection was reset')
  const world = createEngine({
    catalog: catalog => Object.assign(catalog, { sizeOf: async () => saysBytes }),
    upstream: {
      headBlob: async () => {
        if (isInTrouble) throw down()
        return { sizeBytes: bytes.length }
      },
      getBlob: async (_name, _digest, { offset }) => {
        const head = { offset, totalBytes: bytes.length }
        if (!isInTrouble) return blobAnswer([bytes.subarray(offset)], head)
        asked += 1
        if (asked > 1) throw down()
        const answer = blobAnswer(PIECES, { totalBytes: undefined })
        async function* cut() {
          yield* answer.body
          throw down()
        }
        return { ...answer, body: cut() }
      },
    },
  })
  /** Lets the clock go on until the pull is over, however it ends. */
  const pull = async () => {
    let isOver = false
    const pulled = (async () => readAll(await world.registry.pullBlob(repository, digest)))()
    const over = () => (isOver = true)
    pulled.then(over, over)
    while (!isOver) {
      for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate)
      if (!isOver) await world.clock.advance(STEP_MS)
    }
    return pulled
  }
  return { ...world, pull, recover: () => (isInTrouble = false) }
}

for (const [word, saysBytes] of [
  ['more', 900_000],
  ['less', 100_000],
] as const)
  t.test(`R253: a manifest says ${word}, and nobody tells the length for a moment`, async t => {
    const world = createWorld(saysBytes)
    await t.rejects(world.pull())
    await world.registry.settled(digest)
    t.same(await partsLeft(world.store), [digest], 'what came is kept')
    world.recover()
    t.ok((await world.pull()).equals(bytes), 'and the next pull has the blob')
  })
