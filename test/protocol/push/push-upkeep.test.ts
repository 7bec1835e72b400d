// Goal: what the operator configures about pushes holds in the running edge, from the start and
// after a reload, and abandoned uploads go by themselves. Method: the edge in process, requests
// from loopback, its log, metrics and commands.
import t from 'tap'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { get } from '../../kit/clients/raw-client.ts'

const DAY_MS = 86_400_000
const UPSTREAMS = { 'docker.io': { url: 'http://127.0.0.1:9' } }

async function beginUpload(edge: TestEdge, repository = 'localhost/app') {
  const answer = await edge.send('POST', `/v2/${repository}/blobs/uploads/`)
  const { location = '' } = answer.headers
  return { status: answer.status, location }
}

function gauge(text: string, name: string): string | undefined {
  return new RegExp(`^entrepot_${name} (.*)$`, 'm').exec(text)?.[1]
}

async function scrape(edge: TestEdge): Promise<string> {
  return (await get(`${edge.adminUrl}/metrics`)).body.toString()
}

t.test('R110: an upload that nobody goes on with is shown, and goes after its age', async t => {
  const edge = await startTestEdge(t, { upstreams: UPSTREAMS })
  const { status, location } = await beginUpload(edge)
  t.equal(status, 202)
  const begun = await edge.send('PATCH', location, { body: Buffer.alloc(5_000, 1) })
  t.equal(begun.status, 202)
  const next = begun.headers['location'] ?? ''

  const shown = await scrape(edge)
  t.equal(gauge(shown, 'upload_sessions'), '1')
  t.equal(gauge(shown, 'received_bytes_total'), '5000')
  const page = await runCli(['status', '--socket', edge.socket])
  t.match(page.stdout, /^uploads +1 open/m)

  await edge.clock.advance(6 * DAY_MS)
  t.equal((await edge.send('GET', next)).status, 204, 'asking for its state keeps it')
  await edge.clock.advance(9 * DAY_MS)
  // A round before it may have found nothing old enough.
  t.match(await edge.untilLogged('abandoned uploads removed', 1, { sessions: 1 }), {
    level: 'info',
  })
  t.equal((await edge.send('GET', next)).status, 404)
  t.equal(gauge(await scrape(edge), 'upload_sessions'), '0')
  t.equal(gauge(await scrape(edge), 'uploads_purged_total'), '1')
})

t.test('R110: a dry run tells and removes nothing; a reload makes it real', async t => {
  const purging = { age: '1h', interval: '1h', dryrun: true }
  const configured = (more: object) => ({
    storage: { maintenance: { uploadpurging: { ...purging, ...more } } },
  })
  const edge = await startTestEdge(t, { upstreams: UPSTREAMS, config: configured({}) })
  const { location } = await beginUpload(edge)
  await edge.clock.advance(2 * 3_600_000)
  await edge.untilLogged('abandoned uploads would be removed', 1, { sessions: 1 })
  edge.reload(UPSTREAMS, configured({ dryrun: false }))
  await edge.clock.advance(3_600_000)
  await edge.untilLogged('abandoned uploads removed', 1, { sessions: 1 })
  t.equal((await edge.send('GET', location)).status, 404)
})

t.test('a rule that is changed holds from the reload on', async t => {
  const edge = await startTestEdge(t, { upstreams: UPSTREAMS })
  const begin = async () => (await beginUpload(edge, 'docker.io/team/app')).status
  t.equal(await begin(), 403)
  edge.reload(UPSTREAMS, { repositories: [{ match: 'docker.io/team/**', push: 'store' }] })
  t.equal(await begin(), 202)
  edge.reload(UPSTREAMS, { repositories: [] })
  t.equal(await begin(), 403)
})
