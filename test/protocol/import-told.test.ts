// Goal: of an import it is known afterwards what it published and why it was refused; what a bundle
// is, its signature says. Method: edges in process, bundles by the commands, the audit log read.
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { INDEX_NAME } from '../../src/bundle/layout.ts'
import { makeImage } from '../kit/image.ts'
import { pushTo } from '../kit/worlds/lost-edge.ts'
import { at, startTwoEdges } from '../kit/worlds/two-edges.ts'

const image = makeImage({ seed: 'told', layers: [500] })

t.test('R936: the audit log names what was imported, and why not', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'import-told-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const output = join(directory, 'audit.log')
  const world = await startTwoEdges(t, { config: { audit: { output } } })
  const { from, to, exported } = world
  await pushTo(from, 'localhost/app', { image, tags: ['v1'] })
  const file = await exported('app.tar', 'localhost/app:v1')
  t.match(await at(to)('import', file), { exitCode: 0 })
  const cut = (await readFile(file)).subarray(0, 3_000)
  await writeFile(file, cut)
  t.match(await at(to)('import', file), { exitCode: 1 })
  await to.stop()
  const lines = (await readFile(output, 'utf8')).trim().split('\n')
  const told = lines.map(line => JSON.parse(line) as Record<string, unknown>)
  t.match(
    told.filter(({ audit }) => audit === 'push'),
    [{ who: 'operator', image: 'localhost/app:v1', digest: image.manifest.digest, keyId: /./ }],
  )
  t.match(told.filter(({ action }) => action === 'import').at(-1), {
    outcome: 'refused',
    reason: /no name was imported/,
  })
})

t.test('R880: a delta is a short line of the audit log, however much it supposes', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'import-told-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const output = join(directory, 'audit.log')
  const { to } = await startTwoEdges(t, { config: { audit: { output } } })
  const layers = Array.from({ length: 20 }, (_, at) => 100 + at)
  const many = makeImage({ seed: 'many', layers })
  await pushTo(to, 'localhost/many', { image: many, tags: ['v1'] })
  const has = join(directory, 'has')
  t.match(await at(to)('inventory', '-o', has), { exitCode: 0 })
  const rest = ['--since', has, '-o', join(directory, 'delta.tar')]
  t.match(await at(to)('export', 'localhost/many:v1', ...rest), { exitCode: 0 })
  await to.stop()
  const lines = (await readFile(output, 'utf8')).trim().split('\n')
  const supposed = lines.find(line => line.includes('exports/suppose')) ?? ''
  t.match(JSON.parse(supposed), { asked: { digest: 22 } })
  t.ok(supposed.length < 400, supposed)
})

t.test('R937: another index than the signed one is no bundle', async t => {
  const { from, to, exported } = await startTwoEdges(t)
  await pushTo(from, 'localhost/app', { image, tags: ['v1'] })
  const file = await exported('app.tar', 'localhost/app:v1')
  const bytes = await readFile(file)
  const index = bytes.indexOf('manifests', bytes.indexOf(INDEX_NAME))
  bytes.write('Manifests', index)
  await writeFile(file, bytes)
  t.match(await at(to)('import', file), { exitCode: 1, stderr: /index.json is not the one/ })
})

t.test('R938: a bundle is for its owner alone, and goes through no link', async t => {
  const { from, path } = await startTwoEdges(t)
  await pushTo(from, 'localhost/app', { image, tags: ['v1'] })
  await writeFile(path('victim'), 'as it was')
  await symlink(path('victim'), path('app.tar.part'))
  t.match(await at(from)('export', 'localhost/app:v1', '-o', path('app.tar')), {
    exitCode: /0|1/,
  })
  t.equal(await readFile(path('victim'), 'utf8'), 'as it was')
  await rm(path('app.tar.part'), { force: true })
  t.match(await at(from)('export', 'localhost/app:v1', '-o', path('app.tar')), { exitCode: 0 })
  t.equal((await stat(path('app.tar'))).mode & 0o777, 0o600)
  t.match(await at(from)('inventory', '-o', path('inventory')), { exitCode: 0 })
  t.equal((await stat(path('inventory'))).mode & 0o777, 0o600)
})

t.test('another body than a bundle is refused by its type', async t => {
  const { to } = await startTwoEdges(t)
  for (const type of ['application/json', 'text/plain', 'text/html']) {
    const status = await new Promise(resolve => {
      const headers = { 'content-type': type }
      const sent = request({
        socketPath: to.socket,
        path: '/api/v1/import',
        method: 'POST',
        headers,
      })
      sent.once('response', answer => resolve(answer.resume().statusCode))
      sent.end('{}')
    })
    t.equal(status, 415, type)
  }
})
