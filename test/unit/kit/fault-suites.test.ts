// Goal: what the fault suites stand on is right: sums over ranges, drawn lies, mutated requests,
// the oracle. Method: small cases whose answer is known.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { askedTwiceOrNever } from '../../kit/clients/herd.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { drawLie, LIE_KINDS } from '../../kit/stubs/lies.ts'
import { mutateRequest } from '../../kit/clients/mutate-request.ts'
import { judge, sha256 } from '../../kit/judges/oracle.ts'
import { recordedSessions } from '../../kit/clients/recorded-sessions.ts'
import { createRandom } from '../../kit/seeded.ts'

t.test('bytes asked for twice or never are counted', async t => {
  t.same(askedTwiceOrNever([[0, 9]], 10), { twiceBytes: 0, neverBytes: 0 })
  t.same(
    askedTwiceOrNever(
      [
        [5, 9],
        [0, 4],
      ],
      10,
    ),
    { twiceBytes: 0, neverBytes: 0 },
  )
  t.same(
    askedTwiceOrNever(
      [
        [0, 9],
        [8, 9],
      ],
      10,
    ),
    { twiceBytes: 2, neverBytes: 0 },
  )
  t.same(
    askedTwiceOrNever(
      [
        [0, 3],
        [6, 8],
      ],
      10,
    ),
    { twiceBytes: 0, neverBytes: 3 },
  )
  t.same(askedTwiceOrNever([], 10), { twiceBytes: 0, neverBytes: 10 })
})

t.test('one seed draws the same lies, and each kind gets its share', async t => {
  const draw = () => {
    const random = createRandom(7)
    return Array.from({ length: 200 }, (_, index) => drawLie(random, index))
  }
  const lies = draw()
  const bare = (all: typeof lies) =>
    all.map(({ kind, about, target, times }) => [kind, about, target.digest, times])
  t.same(bare(lies), bare(draw()))
  for (const kind of LIE_KINDS)
    t.equal(lies.filter(lie => lie.kind === kind).length, 200 / LIE_KINDS.length)
  t.ok(lies.some(lie => lie.about === 'manifest') && lies.some(lie => lie.about === 'blob'))
})

t.test('mutation changes requests, and the same seed changes them the same way', async t => {
  const index = makeIndex([makeImage({ seed: 1 })])
  const requests = recordedSessions('a/b', 'v1', index).flatMap(session => session.requests)
  const mutate = () => {
    const random = createRandom(3)
    return requests.map(request => mutateRequest(random, request, 'h').toString('latin1'))
  }
  t.same(mutate(), mutate())
  t.equal(new Set(mutate()).size, requests.length)
})

t.test('the oracle finds a changed byte, a cut file and a misplaced one', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-test-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const put = async (bytes: Buffer, named: Buffer, prefix?: string) => {
    const hex = sha256(named).slice('sha256:'.length)
    const folder = join(directory, 'blobs', 'sha256', prefix ?? hex.slice(0, 2))
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, hex), bytes)
  }
  t.same(await judge(directory), { right: [], wrong: [], bytesRead: 0 })
  await put(Buffer.from('right'), Buffer.from('right'))
  await put(Buffer.from('wrong'), Buffer.from('other'))
  await put(Buffer.from('shor'), Buffer.from('short'))
  await put(Buffer.from('misplaced'), Buffer.from('misplaced'), '00')
  const verdict = await judge(directory)
  t.same(verdict.right, [sha256(Buffer.from('right'))])
  t.equal(verdict.wrong.length, 3)
})
