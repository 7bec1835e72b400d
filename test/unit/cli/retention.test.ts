// Goal: an operator sees what the policies let go before it goes, and the log says what went.
// Method: images pushed to an edge in process, the command through its Unix socket.
import t from 'tap'
import type { Explanation } from '../../../src/registry/operator/why-image.ts'
import { runCli } from '../../kit/cli.ts'
import { filesIn, NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { type Image, makeImage } from '../../kit/image.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

async function push(edge: TestEdge, { manifest, config, layers }: Image, tag: string) {
  for (const blob of [config, ...layers]) await pushBlob(edge, 'localhost/app', blob.bytes())
  const headers = { 'content-type': manifest.mediaType }
  const put = { headers, body: manifest.bytes }
  const { status } = await edge.send('PUT', `/v2/localhost/app/manifests/${tag}`, put)
  if (status !== 201) throw new Error(`${status}`)
}

t.test('R342: jobs run retain tells with --dry-run what the run then does', async t => {
  const policies = [{ repositories: ['**'], keeptags: [{ pushedwithin: '30d' }] }]
  const storage = { retention: { dryrun: true, policies }, gc: { interval: '90d' } }
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, config: { storage } })
  const retain = (...more: string[]) =>
    runCli(['jobs', 'run', 'retain', ...more, '--socket', edge.socket])
  const shared = makeImage({ seed: 'shared', layers: [5_000, 300] })
  await push(edge, shared, 'old')
  await edge.pass(20 * DAY_MS)
  await push(edge, makeImage({ seed: 'newer', layers: [400] }), 'new')
  await edge.pass(11 * DAY_MS)

  const { digest } = shared.manifest
  const dry = await retain('--dry-run')
  t.equal(dry.exitCode, 0)
  const lines = dry.stdout.split('\n')
  t.match(
    lines[1],
    /^localhost\/app:old +0 B +policies\[0\]\.keeptags\[0\]\.pushedwithin does not hold it: pushed 31 days ago/,
  )
  t.match(
    lines[2],
    new RegExp(`^localhost/app@${digest} +\\S+ KiB +no tag that stays leads to it$`),
  )
  t.match(lines[3], /^2 would go; \S+ KiB would be freed$/)
  const tags = async () => (await edge.send('GET', '/v2/localhost/app/tags/list')).body.toString()
  t.match(await tags(), '"old"', 'by itself it only tells: the policies say so')
  t.match(await edge.untilLogged('would go by retention'), { tags: 1, manifests: 1 })

  const wet = await retain()
  t.equal(wet.stdout, dry.stdout.replaceAll(' would be ', ' ').replace('would go', 'gone'))
  t.same(JSON.parse(await tags()), { name: 'localhost/app', tags: ['new'] })
  t.match((await retain()).stdout, 'nothing gone')

  // The grace began as it went, however far away the next pass is.
  await edge.clock.advance(HOUR_MS + 1)
  // Behind the pass that has begun.
  await runCli(['gc', '--dry-run', '--socket', edge.socket])
  const files = await filesIn(edge, 'blobs')
  t.notOk(files.some(name => digest.endsWith(name)))
})

t.test(
  'R345: why tells which line of a policy holds a tag and how long, or why it goes',
  async t => {
    const policies = [
      { repositories: ['localhost/other/**'], keeptags: [{ patterns: ['kept'] }] },
      {
        repositories: ['localhost/app'],
        keeptags: [{ patterns: ['kept'] }, { pushedwithin: '30d' }, { pulledwithin: '40d' }],
      },
    ]
    const storage = { retention: { policies } }
    const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, config: { storage } })
    const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
    const why = async (image: string) => (await run('why', image)).stdout
    const image = makeImage({ seed: 'judged', layers: [5_000] })
    await push(edge, image, 'v1')
    await push(edge, image, 'kept')
    await edge.pass(20 * DAY_MS)
    const app = 'localhost/app'
    t.match(
      await why(`${app}:kept`),
      'storage.retention keeps it: policies[1].keeptags[0].patterns: kept\n',
    )
    const keeps =
      'storage.retention keeps it: policies[1].keeptags[1].pushedwithin: pushed 20 days ago'
    t.match(
      await why(`${app}:v1`),
      `${keeps}; unless it is pushed or pulled again it goes in 20 days`,
    )
    const { retention } = JSON.parse(
      (await run('why', `${app}:v1`, '--json')).stdout,
    ) as Explanation
    t.match(retention, { kind: 'keep', untilMs: edge.clock.nowMs() + 20 * DAY_MS })
    const { digest } = image.manifest
    t.match(await why(`${app}@${digest}`), 'storage.retention keeps it: the tag kept leads to it')

    // A round would take it away.
    await run('jobs', 'pause', 'retain')
    await edge.pass(20 * DAY_MS)
    const goes = 'storage.retention lets it go, but "retain" is paused until "entrepot jobs resume'
    t.match(await why(`${app}:v1`), goes)
    t.match(
      await why(`${app}:v1`),
      'resume retain": none of policies[1].keeptags[1].pushedwithin, policies[1].keeptags[2].pulledwithin holds it',
    )
    await run('jobs', 'resume', 'retain')
    await run('retain')
    t.match(await why(`${app}:v1`), 'the tag is not at this edge')
  },
)
