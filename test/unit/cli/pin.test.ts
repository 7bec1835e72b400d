// Goal: an operator pins what is to stay, sees what is pinned, and takes it back. Method: the
// commands through the Unix socket of an edge in process, over a stub registry.
import t from 'tap'
import type { Status } from '../../../src/registry/operator/status.ts'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { get } from '../../kit/clients/raw-client.ts'
import { type Image, makeImage, makeIndex } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const image = makeImage({ seed: 'pin', layers: [100] })

async function start(t: { teardown(fn: () => unknown): unknown }) {
  const stub = await startStub(t)
  stub.addImage('library/app', 'v1', image)
  const upstreams = { 'docker.io': { url: stub.url } }
  const config = { pins: ['localhost/base/**'] }
  const edge = await startTestEdge(t, { upstreams, config })
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  await run('pull', 'docker.io/library/app:v1')
  return { edge, stub, upstreams, run }
}

t.test('R351: pin, pin --list and unpin say what is pinned, and what that is about', async t => {
  const { run } = await start(t)
  t.match(await run('pin', 'docker.io/library/*:v*'), {
    exitCode: 0,
    stdout: 'docker.io/library/*:v* is pinned; it is about 1 tag now\n',
  })
  t.match(await run('pin', 'docker.io/library/*:v*'), { exitCode: 0, stdout: /pinned already/ })
  t.equal(
    (await run('pin', '--list')).stdout,
    [
      'PIN                     MATCHES  FROM',
      'localhost/base/**       0        configuration',
      'docker.io/library/*:v*  1        command\n',
    ].join('\n'),
  )
  t.match(
    (await run('why', 'docker.io/library/app:v1')).stdout,
    /it is pinned as docker\.io\/library\/\*:v\*, by a command/,
  )
  t.match(await run('unpin', 'docker.io/library/*:v*'), {
    exitCode: 0,
    stdout: 'docker.io/library/*:v* is not pinned any more; it was about 1 tag\n',
  })
  t.match(await run('unpin', 'docker.io/library/*:v*'), { exitCode: 1, stderr: /is not pinned;/ })
  t.match((await run('why', 'docker.io/library/app:v1')).stdout, /^(?!.*is pinned)/s)
})

t.test('a pattern that is refused is named', async t => {
  const { run } = await start(t)
  t.match(await run('pin', 'UP.example/X:y', 'docker.io/library/app:v1'), {
    exitCode: 1,
    stdout: /^docker\.io\/library\/app:v1 is pinned/,
    stderr: /UP\.example\/X:y: /,
  })
})

t.test('status and the metrics tell what pins hold, each layer of a repository once', async t => {
  const { edge, stub, run } = await start(t)
  const platform = { os: 'linux', architecture: 'arm64' }
  const sibling = makeImage({ seed: 'pin', layers: [100], platform })
  stub.addImage('library/app', 'v2', makeIndex([image, sibling]))
  await run('pull', 'docker.io/library/app:v2', '--all-platforms')
  const lone = makeImage({ seed: 'lone', layers: [9_000] })
  stub.addImage('library/lone', 'v1', lone)
  await run('pull', 'docker.io/library/lone:v1')
  const pinned = async () => {
    const { pins, pinnedBytes } = JSON.parse((await run('status', '--json')).stdout) as Status
    const gauge = /^entrepot_pinned_bytes (\d+)$/m.exec(
      (await get(`${edge.adminUrl}/metrics`)).body.toString(),
    )
    t.equal(Number(gauge?.[1]), pinnedBytes)
    return [pins, (pinnedBytes ?? -1) / 4096]
  }
  t.same(await pinned(), [1, 0])
  await run('pin', 'docker.io/library/app:v1')
  t.same(await pinned(), [2, 3], 'its manifest, its configuration, its layer')
  await run('pin', 'docker.io/library/app:v*')
  t.same(await pinned(), [3, 6], 'the index, two images, and what they share')
  await run('pin', 'docker.io/library/lone')
  await run('pin', lone.manifest.digest)
  t.same(await pinned(), [5, 16], 'by its repository, and wherever it is')
  t.match((await run('status')).stdout, /^pins +5, hold 64\.0 KiB; /m)
  await run('unpin', 'docker.io/library/app:v*')
  t.same(await pinned(), [4, 13])
})

t.test(
  'R351: with --all-platforms what is missing is fetched, and told if it cannot be',
  async t => {
    const { stub, run } = await start(t)
    const [one, two] = ['amd64', 'arm64'].map(architecture =>
      makeImage({ seed: architecture, layers: [100], platform: { os: 'linux', architecture } }),
    ) as [Image, Image]
    stub.addImage('library/multi', 'v1', makeIndex([one, two]))
    await run('pull', 'docker.io/library/multi:v1', '--platform', 'linux/amd64')
    const fetched = () => stub.count({ kind: 'blob', digest: two.config.digest })
    t.match(await run('pin', 'docker.io/library/multi:*'), { exitCode: 0 })
    t.equal(fetched(), 0, 'a pin alone fetches nothing')
    t.match(await run('pin', '--all-platforms', 'docker.io/library/multi:v*'), {
      exitCode: 0,
      stdout:
        /^docker\.io\/library\/multi:v\* is pinned.*docker\.io\/library\/multi:v1 is here: 4 blobs/s,
    })
    t.equal(fetched(), 1)
    stub.addImage('library/new', 'v1', image)
    t.match(await run('pin', '--all-platforms', 'docker.io/library/new:v1'), {
      exitCode: 0,
      stdout: /is here/,
    })
    t.match(await run('pin', '--all-platforms', 'docker.io/library/none:v1'), {
      exitCode: 1,
      stdout: /is pinned/,
      stderr: /library\/none/,
    })
    t.match(await run('pin', '--all-platforms', 'docker.io/library/x*:v1'), {
      exitCode: 1,
      stderr: /nothing here matches it that could be fetched/,
    })
    t.match(await run('pin', '--all-platforms', '--json', 'docker.io/library/new:v1'), {
      exitCode: 2,
    })
    t.match(await run('pin', '--all-platforms', '--list'), { exitCode: 2 })
  },
)

t.test(
  'R351: an image is named as clients name it, and a name alone is its repository',
  async t => {
    const { run } = await start(t)
    t.match(await run('pin', 'docker.io/app:v1'), {
      stdout: /^docker\.io\/library\/app:v1 is pinned; it is about 1 tag now/,
    })
    t.match(await run('pin', 'docker.io/app'), { stdout: /^docker\.io\/library\/app is pinned/ })
    t.match(await run('pin', image.manifest.digest), { stdout: /is about 1 repository now/ })
    const listed = JSON.parse((await run('pin', '--list', '--json')).stdout) as { pins: unknown[] }
    t.equal(listed.pins.length, 4)
  },
)

t.test(
  'R351: a reload changes the pins of the configuration, which unpin leaves alone',
  async t => {
    const { edge, upstreams, run } = await start(t)
    t.match(await run('unpin', 'localhost/base/**'), {
      exitCode: 1,
      stderr: /stands under pins in the configuration/,
    })
    await edge.reloaded(upstreams, { pins: ['docker.io/**'] })
    t.match(
      (await run('why', 'docker.io/library/app:v1')).stdout,
      /docker\.io\/\*\*, in the configuration/,
    )
  },
)

t.test('R351: pins outlive a restart; what is no pattern pins nothing', async t => {
  const { edge, run } = await start(t)
  t.match(await run('pin', 'library/*:^v1$', 'docker.io/library/app:v1'), {
    exitCode: 1,
    stdout: /^docker\.io\/library\/app:v1 is pinned/,
    stderr: /regular expression/,
  })
  t.match(await run('pin'), { exitCode: 2, stderr: /usage: entrepot pin/ })
  t.match(await run('pin', '--list', 'x'), { exitCode: 2 })
  t.match(await run('unpin'), { exitCode: 2 })
  await edge.stop()
  t.match(await run('pin', '--list'), { exitCode: 69 })
})

t.test('R351: what pins nothing as it is written is refused, or told as that', async t => {
  const { run } = await start(t)
  const short = image.manifest.digest.slice(0, 'sha256:'.length + 12)
  for (const command of ['pin', 'unpin', 'purge'])
    t.match(await run(command, short), { exitCode: 1, stderr: /64 or sha512: with 128/ }, command)
  t.match(await run('pin', 'dokcer.io/library/app:v1'), {
    stdout: /is pinned; nothing here matches it, and dokcer\.io is no upstream here\n$/,
  })
  for (const known of ['docker.io/library/other', 'localhost/app', '*/library/other'])
    t.match(await run('pin', known), { stdout: /is pinned; nothing here matches it so far\n$/ })
})
