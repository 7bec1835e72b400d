// Goal: on an edge with accounts, clients of the machine that have no login push and pull what a
// rule about `local` allows, and nothing else. They are led to a token of nobody's by the
// challenge, which they show from then on. Method: the process that `npm start` starts, with two
// HTTP threads and a file of accounts; real clients.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createPushClient } from '../kit/clients/push-client.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { CLIENT_LOGINS } from './client-logins.ts'
import { blobsOf, layeredImage } from './images.ts'
import { freshDirectory } from './processes.ts'
import { DOCKER, startEngine } from './push/docker.ts'

t.setTimeout(600_000)

/** By htpasswd of Apache 2.4, of s3cret. */
const HASH = '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2'

const accounts = join(freshDirectory('ht'), 'htpasswd')
writeFileSync(accounts, `alice:${HASH}\n`, { mode: 0o600 })
const edge = await startEdge({
  directory: freshDirectory('edge'),
  config: {
    http: { addr: '127.0.0.1:0', threads: 2 },
    auth: { htpasswd: { path: accounts } },
    access: [
      { who: 'local', match: 'localhost/here/**', allow: ['pull', 'push'] },
      { who: 'alice', match: '**', allow: ['pull', 'push', 'list'] },
    ],
  },
})
t.teardown(() => edge.stop())
const authority = `localhost:${new URL(edge.url).port}`
const image = layeredImage({ seed: 'local', layerBytes: [20_000, 30_000], mediaTypes: 'docker' })
const client = createPushClient(edge.url)
for (const blob of blobsOf(image)) await client.blob('localhost/here/app', blob.bytes())
const { status } = await client.manifest('localhost/here/app', 'v1', image.manifest)
client.close()
t.equal(status, 201, 'there is an image')

for (const { name, tries } of CLIENT_LOGINS)
  await t.test(`R797: ${name} on this machine pushes and pulls without a login`, async t => {
    const attempt = { authority, image: `${authority}/localhost/here/app:v1`, login: undefined }
    const repository = `localhost/here/by-${name.toLowerCase()}`
    await tries({ ...attempt, target: `${authority}/${repository}` })
    t.pass('it pushed and pulled back')
    const elsewhere = `${authority}/localhost/there/by-${name.toLowerCase()}`
    await t.rejects(tries({ ...attempt, target: elsewhere }), 'no more than the rule says')
  })

await t.test(`R797: ${DOCKER.name} on this machine does, too`, async t => {
  const engine = await startEngine(DOCKER)
  t.teardown(() => engine.stop())
  const from = `${authority}/localhost/here/app`
  await engine.pull(`${from}:v1`)
  for (const where of ['here', 'there'])
    await engine.tag(`${from}:v1`, `${authority}/localhost/${where}/docker`)
  await engine.push(`${authority}/localhost/here/docker`)
  await t.rejects(engine.push(`${authority}/localhost/there/docker`))
})

t.test('R797: each of them was asked for a login, and has shown a token of nobody’s', async t => {
  const tokens = edge.logs.filter(({ endpoint, status }) => endpoint === 'token' && status === 200)
  t.ok(tokens.length >= CLIENT_LOGINS.length, `${tokens.length} tokens`)
})
