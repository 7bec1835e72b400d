// Goal: an operator sees what is large or idle, what holds an image, and how many leave before it.
// Method: images pulled and pushed through an edge in process over a stub registry, commands
// through its Unix socket.
import t from 'tap'
import type { ListedImages } from '../../../src/registry/operator/list-images.ts'
import type { Explanation } from '../../../src/registry/operator/why-image.ts'
import { runCli } from '../../kit/cli.ts'
import { pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const DAY_MS = 86_400_000
const small = makeImage({ seed: 'small', layers: [100] })
const large = makeImage({ seed: 'large', layers: [90_000] })
const child = makeImage({ seed: 'child', layers: [5_000] })

async function start(test: { teardown(fn: () => unknown): unknown }) {
  const stub = await startStub(test)
  stub.addImage('library/small', 'v1', small)
  stub.addImage('library/large', 'v1', large)
  stub.addImage('library/index', 'v1', makeIndex([child]))
  const upstreams = { 'docker.io': { url: stub.url } }
  const edge = await startTestEdge(test, { upstreams })
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  const pull = async (name: string) => {
    await edge.get(`/v2/library/${name}/manifests/v1`)
    // Uses are written some seconds later.
    await edge.pass(10_000)
  }
  return { edge, upstreams, run, pull }
}

t.test('R343: ls sorts by size, by the last pull and by how many there were', async t => {
  const { edge, run, pull } = await start(t)
  for (const name of ['large', 'small', 'index', 'small', 'small', 'large']) await pull(name)
  await edge.pass(2 * DAY_MS)
  await pull('index')
  const names = async (...sort: string[]) => {
    const { stdout } = await run('ls', '--json', ...sort)
    const { images } = JSON.parse(stdout) as ListedImages
    return images.map(({ image }) => image.slice('docker.io/library/'.length, -':v1'.length))
  }
  t.same(await names(), ['index', 'large', 'small'])
  t.same(await names('--sort', 'size'), ['large', 'small', 'index'])
  t.same(await names('--sort=last-pull'), ['small', 'large', 'index'])
  t.same(await names('--sort', 'pulls'), ['index', 'large', 'small'])
  const table = await run('ls', '--sort', 'pulls', '*small*')
  t.match(table.stdout, /small:v1 .* 2 d ago, 3 times$/m)
  t.match(await run('ls', '--sort', 'colour'), {
    exitCode: 2,
    stderr: /--sort size\|last-pull\|pulls/,
  })
})

t.test('R343: why says how many images leave before this one, or what holds it', async t => {
  const { edge, run, pull } = await start(t)
  for (const name of ['large', 'index', 'small']) {
    await pull(name)
    if (name === 'index') await edge.get(`/v2/library/index/manifests/${child.manifest.digest}`)
    await edge.pass(DAY_MS)
  }
  const why = async (image: string) =>
    JSON.parse((await run('why', image, '--json')).stdout) as Explanation
  t.match(await why('library/large:v1'), { held: [], before: 0, pulls: 1 })
  t.match((await run('why', 'library/large:v1')).stdout, /it is the first image to leave$/m)
  t.match(await why('library/index:v1'), { held: [], before: 1 }, 'with the last of its platforms')
  t.match((await run('why', 'library/small:v1')).stdout, /2 images leave before it$/m)

  await run('pin', 'docker.io/library/large:*')
  t.match(await why('library/large:v1'), { held: ['pinned'] })
  t.equal((await why('library/large:v1')).before, undefined)

  for (const blob of [small.config, ...small.layers])
    await pushBlob(edge, 'localhost/app', blob.bytes())
  const { mediaType, bytes: body } = small.manifest
  const headers = { 'content-type': mediaType }
  await edge.send('PUT', '/v2/localhost/app/manifests/v1', { headers, body })
  t.match(await why('localhost/app:v1'), { held: ['pushed'] })
  t.match((await run('why', 'localhost/app:v1')).stdout, /pushed here and has no other home/)
})

t.test('R343: what was pulled a moment ago is told as pulled', async t => {
  const { edge, run } = await start(t)
  await edge.get('/v2/library/small/manifests/v1')
  t.match((await run('ls')).stdout, /small:v1 .* just now, 1 time$/m)
  await edge.get('/v2/library/small/manifests/v1')
  t.match((await run('why', 'library/small:v1')).stdout, /^pulled +just now, 2 times in all$/m)
})

t.test('R376: evict says why no more leaves', async t => {
  const { edge, upstreams, run, pull } = await start(t)
  await pull('large')
  const dry = await run('evict', '--dry-run')
  t.match(dry.stdout, /^nothing would go; .*\nno more is taken than storage\.lowwater says/)
  await edge.reloaded(upstreams, { storage: { maxsize: '1KiB' }, pins: ['docker.io/**'] })
  const { stdout } = await run('evict')
  t.match(stdout, /^nothing gone; .*\nmore is taken than storage\.lowwater says: .* pinned/)
})
