// Goal: whatever an upstream sends, nothing wrong is kept and no client gets a complete wrong
// answer (R85, R231). Method: FAULTS lies drawn from SEED are told to the process that `npm start`
// starts; a client hashes what it gets, the oracle what is on the disk. Control: the same lies,
// told to a cache that does not verify, are found.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import {
  drawLie,
  LIE_KINDS,
  type Lie,
  type LieKind,
  type Told,
  tellLie,
} from '../kit/stubs/lies.ts'
import { startNaiveCache } from '../kit/stubs/naive-cache.ts'
import { judge } from '../kit/judges/oracle.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

/** 60 is what `npm test` has time for; the fault suite tells 1,000. */
const FAULTS = Number(process.env['FAULTS'] ?? 60)
const SEED = seedOf(process.env)
/**
 * Liars, each with its own lies one after the other. More than one, because faults come together;
 * each an upstream of its own, because one that fails five times in a row is not asked any more.
 */
const UPSTREAMS = 10

t.setTimeout(600_000)
t.comment(`SEED=${SEED} FAULTS=${FAULTS}`)

function drawLies(count: number): Lie[] {
  const random = createRandom(SEED)
  return Array.from({ length: count }, (_, index) => drawLie(random, index))
}

/** Every stub tells its share of the lies, all stubs at once. */
async function tellAll<T>(
  lies: readonly Lie[],
  liars: readonly T[],
  tell: (liar: T, lie: Lie) => Promise<Told>,
): Promise<Map<Lie, Told>> {
  const told = new Map<Lie, Told>()
  const queue = [...lies]
  await Promise.all(
    liars.map(async liar => {
      for (let lie = queue.shift(); lie !== undefined; lie = queue.shift()) {
        told.set(lie, await tell(liar, lie))
      }
    }),
  )
  return told
}

t.test(`R85: ${FAULTS} lies: 0 kept wrong, 0 complete wrong answers`, async t => {
  const stubs = await Promise.all(
    Array.from({ length: UPSTREAMS }, async (_, index) => {
      const stub = await startStub(t)
      return { stub, registry: `liar-${index}.example` }
    }),
  )
  const upstreams = Object.fromEntries(
    stubs.map(({ stub, registry }) => [registry, { url: stub.url, http: true }]),
  )
  const edge = await startEdge({
    upstreams,
    config: { default: 'liar-0.example', log: { level: 'debug' } },
  })
  t.teardown(() => edge.stop())
  // Whoever comes while a download is failing shares its failure; the next one is to be served.
  const recovered = async ({ about, target: { digest } }: Lie) => {
    if (about === 'manifest') return
    const count = (msg: RegExp) =>
      edge.logs.filter(line => line['digest'] === digest && msg.test(line.msg ?? '')).length
    // What was fetched ahead may have failed before the client's own.
    await edge.untilLogged(line => line.msg === 'request completed' && line['reference'] === digest)
    await edge.untilLogged(
      () => count(/^fill started$/) === count(/^fill (?:failed|ended|abandoned)$/),
    )
  }
  const told = await tellAll(drawLies(FAULTS), stubs, ({ stub, registry }, lie) =>
    tellLie({ stub, url: `${edge.url}/v2/${registry}`, recovered }, lie),
  )
  for (const [lie, { struck, wrong, answers }] of told) {
    const about = `${lie.kind} of ${lie.about} of ${lie.target.sizeBytes} B`
    if (struck === 0) t.fail(`${about}: the fault never struck`)
    if (wrong > 0) t.fail(`${about}: a complete wrong answer`, { fault: lie.fault })
    const last = answers.at(-1)
    if (last?.status !== 200 || !last.complete) {
      t.fail(`${about}: after the lie there is no right answer`, { answers, fault: lie.fault })
    }
    if (answers.some(answer => answer.hung)) t.fail(`${about}: no end`, { fault: lie.fault })
  }
  const verdict = await judge(edge.dataDirectory)
  t.same(verdict.wrong, [], 'every file that is kept is what its name says')
  t.ok(edge.alive)
  t.comment(tally(told))
  t.comment(`kept and right: ${verdict.right.length} files, ${verdict.bytesRead} bytes`)
})

t.test('control: a cache that does not verify is found to be wrong', async t => {
  const stub = await startStub(t)
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-test-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const naive = await startNaiveCache(stub.url, directory)
  t.teardown(() => naive.stop())
  const lies = drawLies(Math.min(FAULTS, 60))
  const told = await tellAll(lies, [stub], (_, lie) =>
    tellLie({ stub, url: `${naive.url}/v2` }, lie),
  )
  const wrong = [...told.values()].reduce((sum, each) => sum + each.wrong, 0)
  t.ok(wrong > lies.length / 4, `${wrong} complete wrong answers`)
  const verdict = await judge(directory)
  t.ok(verdict.wrong.length > lies.length / 4, `${verdict.wrong.length} files kept wrong`)
})

/** One line for each kind: how many, and how the answers under the lie ended. */
function tally(told: ReadonlyMap<Lie, Told>): string {
  const line = (kind: LieKind) => {
    const of = [...told].filter(([lie]) => lie.kind === kind).map(([, each]) => each.answers[0])
    const whole = of.filter(answer => answer?.status === 200 && answer.complete).length
    const cut = of.filter(answer => answer?.status === 200 && !answer.complete).length
    return `${kind}: ${of.length} told; ${whole} healed, ${cut} cut short, ${of.length - whole - cut} refused`
  }
  return LIE_KINDS.map(line).join('\n')
}
