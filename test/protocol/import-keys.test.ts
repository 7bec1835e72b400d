// Goal: where an operator has said whose bundles are taken, nobody else's are, from the next reload
// on; where nobody has, it is told. Method: two edges in process, the second with keys in its
// configuration, and keys on the command line as words and files.
import { writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { makeImage } from '../kit/image.ts'
import { at, keyOf, OFFLINE, pulls, startTwoEdges } from '../kit/worlds/two-edges.ts'

const image = makeImage({ seed: 'keys', layers: [2_000] })
const NAME = 'docker.io/library/app:v1'

async function start(t: Test) {
  const world = await startTwoEdges(t)
  world.stub.addImage('library/app', 'v1', image)
  return { ...world, file: await world.exported('bundle.tar', NAME) }
}

t.test('R898: of the configured keys one is to have signed it, from a reload on', async t => {
  const { from, to, file } = await start(t)
  const other = await keyOf(to)
  await to.reloaded(OFFLINE, { import: { trustedkeys: [other] } })
  const refused = await at(to)('import', file)
  t.match(refused, {
    exitCode: 1,
    stderr: /no name was imported: .* not under import\.trustedkeys: /,
  })
  t.ok(refused.stderr.includes(await keyOf(from)), 'and the key is named, to be compared')
  t.equal((await to.get('/v2/library/app/manifests/v1')).status, 404)
  const asked = await at(to)('import', file, '--require-signature', await keyOf(from))
  t.match(asked, { exitCode: 1, stderr: /not under import\.trustedkeys/ }, 'no flag says otherwise')
  await to.reloaded(OFFLINE, { import: { trustedkeys: [other, await keyOf(from)] } })
  const taken = await at(to)('import', file)
  t.match(taken, { exitCode: 0, stdout: /signed by [0-9a-f]{16}, a trusted key\n/ })
  await pulls(t, to, 'library/app', image)
})

t.test('R899: where no key is asked for, it is told that nobody looked whose it is', async t => {
  const { to, file } = await start(t)
  const taken = await at(to)('import', file)
  t.match(taken, {
    exitCode: 0,
    stdout: /signed by [0-9a-f]{16}, whose key that is nobody asked: /,
  })
  await pulls(t, to, 'library/app', image)
})

t.test('a required key may be in a file, as key show prints it or as PEM', async t => {
  const { from, to, file, path } = await start(t)
  const files = { pem: ['--pem'], text: [] }
  for (const [name, args] of Object.entries(files)) {
    writeFileSync(path(name), (await at(from)('key', 'show', ...args)).stdout)
    t.match(await at(to)('import', file, '--require-signature', path(name)), { exitCode: 0 })
  }
  writeFileSync(path('other'), (await at(to)('key', 'show', '--pem')).stdout)
  const other = await at(to)('import', file, '--require-signature', path('other'))
  t.match(other, { exitCode: 1, stderr: /none of the keys that are asked for/ })
  writeFileSync(path('empty'), 'nothing')
  const empty = await at(to)('import', file, '--require-signature', path('empty'))
  t.match(empty, { exitCode: 2, stderr: /there is no key in .*empty/ })
  const id = await at(to)('import', file, '--require-signature', '0123456789abcdef')
  t.match(id, { exitCode: 2, stderr: /is the id of a key, .*the key itself/ })
})
