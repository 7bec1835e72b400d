// Goal: what the kernel sends is what this process would have sent, byte for byte and header for
// header, whatever clients do. Method: two edges over one stub, one of them without the native
// sender; the same seeded requests to both, RUNS of them, pipelined, ranged, slow, half-closed and
// broken off, for blobs that are here, that stay open and that are new. A broken-off stream is
// compared as far as both came.
import t from 'tap'
import { OPEN_LEAST_BYTES } from '../../src/registry/reading/open-blobs.ts'
import { systemClock } from '../../src/server/clock.ts'
import { patternBlob } from '../kit/content.ts'
import { BLOBS } from '../kit/worlds/edge-over-stub.ts'
import { startTestEdge } from '../kit/edge.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { makeScript, play, withoutChance } from '../kit/clients/wire-script.ts'

t.setTimeout(600_000)
const RUNS = Number(process.env['RUNS'] ?? '300')
const KiB = 1024
/** Those from so many on stay open for the next one who asks. */
const OPEN_BYTES = OPEN_LEAST_BYTES + 3

t.test('the same requests get the same bytes with and without the native sender', async t => {
  requireSendfile()
  const seed = seedOf(process.env)
  t.comment(`seed ${seed}, ${RUNS} runs`)
  const random = createRandom(seed)
  const stub = await startStub(t)
  const upstreams = { 'docker.io': { url: stub.url } }
  const native = await startTestEdge(t, { upstreams, clock: systemClock })
  const plain = await startTestEdge(t, { upstreams, clock: systemClock, native: false })
  const sizes = [100, 255 * KiB, 256 * KiB, 700 * KiB + 1, 3 * KiB * KiB + 17, OPEN_BYTES] as const
  let added = 0
  const addTarget = (sizeBytes: number) => {
    added += 1
    const blob = patternBlob(`same ${added}`, sizeBytes)
    stub.addBlob('library/app', blob)
    return { path: `${BLOBS}/${blob.digest}`, sizeBytes, digest: blob.digest }
  }
  const targets = sizes.map(addTarget)
  for (const { path, sizeBytes } of targets) {
    for (const edge of [native, plain]) t.equal((await edge.get(path)).bodyBytes, sizeBytes)
  }
  // Until it is recorded a blob is joined, and after that hit.
  for (const edge of [native, plain]) await edge.untilLogged('fill ended', sizes.length)
  const [first, ...others] = targets
  if (first === undefined) throw new Error('there are sizes')
  let wholeStreams = 0
  for (let run = 0; run < RUNS; run += 1) {
    // Asked for by this run alone, and more than once by some.
    const fresh = random.oneIn(4) ? [addTarget(random.between(1, 2 * OPEN_BYTES))] : []
    const script = makeScript(random, [first, ...others, ...fresh, ...fresh, ...fresh])
    const [own, expected] = await Promise.all([play(native.url, script), play(plain.url, script)])
    let [a, b] = [withoutChance(own), withoutChance(expected)]
    if (script.abortAfterBytes < Number.POSITIVE_INFINITY) {
      const length = Math.min(a.length, b.length)
      ;[a, b] = [a.slice(0, length), b.slice(0, length)]
    } else wholeStreams += 1
    if (a === b) continue
    let at = 0
    while (a[at] === b[at]) at += 1
    t.fail(`run ${run}: ${a.length} and ${b.length} bytes, the first other one at ${at}`)
    t.comment(script.requests.join(''))
    return
  }
  t.ok(wholeStreams > RUNS / 3, `${wholeStreams} streams were read to their end`)
})
