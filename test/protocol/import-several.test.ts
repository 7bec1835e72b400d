// Goal: what is carried in several files comes in whatever their order, what is wrong with one is
// told by its name, and a receiver says what it lacks, so that a delta brings that alone. Method:
// two edges in process and files between them: volumes that are missing, damaged and mixed up,
// deltas before their base, and receipts that go back.
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import t, { type Test } from 'tap'
import { makeImage } from '../kit/image.ts'
import { startTestEdge, type TestEdge } from '../kit/edge.ts'
import { at, OFFLINE, pulls, startTwoEdges } from '../kit/worlds/two-edges.ts'

const base = makeImage({ seed: 'several base', layers: [200_000] })
const next = makeImage({ seed: 'several next', layers: [30_000] })
const NAMES = ['docker.io/library/base:v1', 'docker.io/library/next:v1'] as const

async function start(t: Test) {
  const world = await startTwoEdges(t)
  world.stub.addImage('library/base', 'v1', base)
  world.stub.addImage('library/next', 'v1', next)
  return world
}

/** All that an edge says of what is there. */
async function stateOf(edge: TestEdge) {
  const { stdout } = await at(edge)('inventory')
  return stdout.split('\n').slice(1, -2)
}

t.test('R900: several bundles come in one after the other, in any order, each alone', async t => {
  const { from, to, path, exported } = await start(t)
  const first = await exported('first.tar', NAMES[0])
  const delta = await exported('delta.tar', ...NAMES, '--since', first)
  const result = await at(to)('import', delta, first)
  t.match(result, { exitCode: 0, stdout: /2 of 2 files imported: 3 images/ })
  await pulls(t, to, 'library/base', base)
  await pulls(t, to, 'library/next', next)
  const damaged = readFileSync(first)
  damaged[damaged.length - 50_000] = (damaged[damaged.length - 50_000] ?? 0) ^ 1
  writeFileSync(path('damaged.tar'), damaged)
  const other = await startTestEdge(t, { upstreams: OFFLINE })
  const second = await exported('second.tar', NAMES[1])
  const mixed = await at(other)('import', path('damaged.tar'), second)
  t.match(mixed, {
    exitCode: 1,
    stdout: /1 of 2 files imported: 1 image/,
    stderr: /damaged\.tar: no name was imported/,
  })
  await pulls(t, other, 'library/next', next)
  t.equal((await other.get('/v2/library/base/manifests/v1')).status, 404)
  await from.stop()
})

t.test('R903: bundles in any order, twice or in reverse make the same state', async t => {
  const { to, exported } = await start(t)
  const first = await exported('first.tar', NAMES[0])
  const second = await exported('second.tar', NAMES[1])
  const delta = await exported('delta.tar', ...NAMES, '--since', first)
  t.match(await at(to)('import', first, second, delta), { exitCode: 0 })
  const state = await stateOf(to)
  t.ok(state.length > 5)
  for (const order of [
    [delta, second, first],
    [second, first, first, delta, delta],
  ]) {
    const other = await startTestEdge(t, { upstreams: OFFLINE })
    t.match(await at(other)('import', ...order), { exitCode: 0 })
    t.same(await stateOf(other), state)
    t.match(await at(other)('import', ...order.toReversed()), { exitCode: 0 })
    t.same(await stateOf(other), state)
  }
})

t.test('R901: volumes come in any order, and a wrong one is named before anything', async t => {
  const { to, path, exported } = await start(t)
  const file = await exported('cut.tar', NAMES[0], '--split', '64KiB')
  const volumes = readdirSync(path('')).filter(name => /^cut\.tar\.\d+$/.test(name))
  t.ok(volumes.length > 2)
  const [one = '', two = '', three = ''] = volumes.toSorted().map(path)
  const whole = readFileSync(two)
  writeFileSync(two, Buffer.from(whole).fill(1, 100, 101))
  const damaged = await at(to)('import', file)
  t.match(damaged, { exitCode: 1, stderr: /cut\.tar\.sums:\n {2}cut\.tar\.002 is damaged/ })
  writeFileSync(two, whole.subarray(1))
  renameSync(three, path('away'))
  const worse = await at(to)('import', one, two)
  t.match(worse, { exitCode: 1, stderr: /002 has 65535 bytes.*65536\n.*003 is missing/ })
  rmSync(`${file}.sums`)
  writeFileSync(two, whole)
  t.match(await at(to)('import', one, path('cut.tar.004')), {
    exitCode: 1,
    stderr: /cut\.tar\.003 is missing/,
  })
  t.equal((await to.get('/v2/library/base/manifests/v1')).status, 404)
  renameSync(path('away'), three)
  t.match(await at(to)('import', ...volumes.toSorted().toReversed().map(path)), { exitCode: 0 })
  await pulls(t, to, 'library/base', base)
})

t.test('R901: two bundles of one name are not taken for one', async t => {
  const { from, to, path } = await start(t)
  const files: string[] = []
  for (const [index, directory] of ['a', 'b'].map(path).entries()) {
    mkdirSync(directory)
    const file = `${directory}/images.tar`
    const how = ['-o', file, '--split', '1GiB']
    t.match(await at(from)('export', NAMES[index] ?? '', ...how), { exitCode: 0 })
    files.push(`${file}.001`)
  }
  const result = await at(to)('import', ...files)
  t.match(result, { exitCode: 1, stderr: /have one name: import the bundles one after the other/ })
})

t.test('R902: a receipt brings what is missing, and a delta without its base says so', async t => {
  const { to, path, exported } = await start(t)
  const first = await exported('first.tar', NAMES[0])
  const delta = await exported('delta.tar', ...NAMES, '--since', first)
  const refused = await at(to)('import', delta)
  t.match(refused, {
    exitCode: 1,
    stdout: /receipt of what is here: .*delta\.tar\.receipt/,
    stderr:
      /supposes what is not here, 3 .*\n.*entrepot export docker.* --since .*delta\.tar\.receipt/,
  })
  for (const name of ['base', 'next'])
    t.equal((await to.get(`/v2/library/${name}/manifests/v1`)).status, 404)
  const right = await exported('right.tar', ...NAMES, '--since', `${delta}.receipt`)
  const taken = await at(to)('import', right, '--receipt', path('receipt'))
  t.match(taken, { exitCode: 0, stdout: /receipt of what is here: .*receipt, 2 images/ })
  await pulls(t, to, 'library/base', base)
  await pulls(t, to, 'library/next', next)
  const nothing = await exported('nothing.tar', ...NAMES, '--since', path('receipt'))
  t.ok(statSync(nothing).size < 10_000, 'no manifest and no blob')
  t.match(await at(to)('import', nothing), { exitCode: 0, stdout: /0 manifest or blobs written/ })
})
