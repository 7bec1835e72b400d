// Goal: commands take an image in the forms in which people have it at hand, and tell of what is
// here whether anybody is given it. Method: the edge in process over a stub registry, commands
// through its Unix socket.
import t from 'tap'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const image = makeImage({ seed: 'named', layers: [5_000] })
const emptyIndex = makeIndex([]).manifest

async function start(t: { teardown(fn: () => unknown): unknown }) {
  const stub = await startStub(t)
  stub.addImage('library/app', 'v1', image)
  const edge = await startTestEdge(t, {
    upstreams: { 'docker.io': { url: stub.url } },
    hostname: 'edge.corp.example',
  })
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  await run('pull', 'docker.io/library/app:v1')
  return { stub, edge, run, port: new URL(edge.url).port }
}

t.test(
  'R290: an image is taken as it is copied from other commands, and none is told so',
  async t => {
    const { run, port } = await start(t)
    const typed = [
      'docker://docker.io/library/app:v1',
      `oci://localhost:${port}/library/app:v1`,
      `edge.corp.example:${port}/library/app:v1`,
      `EDGE:${port}/docker.io/library/app:v1`,
    ]
    for (const each of typed)
      for (const command of ['why', 'inspect', 'ls'])
        t.match(
          await run(command, each),
          { exitCode: 0, stdout: /docker\.io\/library\/app:v1/ },
          `${command} ${each}`,
        )
    t.match(await run('ls', `localhost:${port}/library/*`), { exitCode: 0, stdout: /app:v1/ })
    for (const nothing of ['', 'docker://'])
      t.match(await run('why', nothing), {
        exitCode: 1,
        stderr: /^an image is written .*, such as docker\.io\/library\/alpine:3$/m,
      })
  },
)

t.test('R290: ls says what is given to nobody, and of what was pushed here no time', async t => {
  const { stub, edge, run } = await start(t)
  const pushed = await edge.send('PUT', '/v2/mine/manifests/v1', {
    headers: { 'content-type': emptyIndex.mediaType },
    body: emptyIndex.bytes,
  })
  t.equal(pushed.status, 201)
  const rows = async () => (await run('ls')).stdout.split('\n').map(row => row.split(/ {2,}/))
  t.match(await rows(), [
    ['IMAGE'],
    [/app:v1/, /./, 'yes', /./, /ago|just/],
    [/mine:v1/, /./, /./, /./, '-'],
  ])
  await edge.reloaded({ 'docker.io': { url: stub.url, exclude: ['library/app'] } })
  t.match((await rows())[1], [/app:v1/, /./, 'kept out'])
})

t.test('one of something is one', async t => {
  const { run } = await start(t)
  t.match((await run('status')).stdout, / 1 tag, 1 manifest and 2 blobs in 1 repository$/m)
})

t.test('R290: a digest alone is no image, and is told so', async t => {
  const { run } = await start(t)
  const { digest } = image.manifest
  for (const typed of [digest, digest.slice(0, 19)])
    for (const command of ['why', 'inspect', 'pull'])
      t.match(await run(command, typed), {
        exitCode: 1,
        stderr: /a digest alone is no image: write its name before it/,
      })
})
