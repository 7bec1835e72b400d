// Goal: a file of accounts is Apache's and the edge's alike: what `htpasswd` writes the edge goes
// by, while it runs too, and what `entrepot user` writes `htpasswd` verifies. Method: the real
// program on the file of an edge in process, and the command line.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { askSocket } from '../kit/clients/admin-socket.ts'
import { runCli, typed } from '../kit/cli.ts'
import { startTestEdge } from '../kit/edge.ts'
import { freshDirectory } from './processes.ts'
import { packagedTool } from './tools.ts'

const HTPASSWD = packagedTool('htpasswd')
const directory = freshDirectory('htpasswd')
const file = join(directory, 'htpasswd')
const config = join(directory, 'config.yaml')
writeFileSync(file, '', { mode: 0o600 })
const auth = { htpasswd: { path: file } }
const edge = await startTestEdge(t, {
  upstreams: { 'docker.io': { url: 'http://127.0.0.1:9' } },
  config: { http: { addr: '127.0.0.1:0' }, auth },
})
writeFileSync(config, JSON.stringify({ admin: { socket: edge.socket }, auth }))

/** The password goes by standard input. @returns its exit code */
function htpasswd(args: readonly string[], password: string): number | null {
  return spawnSync(HTPASSWD, [...args], { input: `${password}\n` }).status
}

async function statusOf(name: string, password: string): Promise<number> {
  const login = Buffer.from(`${name}:${password}`).toString('base64')
  return (await edge.get('/v2/', { authorization: `Basic ${login}` })).status
}

const look = () => askSocket(edge.socket, '/api/v1/accounts/look', { method: 'POST' })

t.test('R500: what htpasswd writes is in force, of any cost that is taken', async t => {
  for (const [name, cost, password] of [
    ['alice', '4', 's3cret'],
    ['bob', '10', 'pässwörd mit Wörtern'],
    ['carol', '12', 'x'.repeat(72)],
  ] as const) {
    t.equal(htpasswd(['-iB', '-C', cost, file, name], password), 0)
    t.equal((await look()).status, 200)
    t.equal(await statusOf(name, password), 200, name)
    t.equal(await statusOf(name, `${password.slice(0, -1)}!`), 401, name)
  }
  t.equal(htpasswd(['-D', file, 'alice'], ''), 0)
  await look()
  t.equal(await statusOf('alice', 's3cret'), 401, 'removed by it')
})

t.test('R501: what htpasswd writes in another way leaves the accounts of before', async t => {
  const before = readFileSync(file)
  for (const other of ['-im', '-is', '-id']) {
    t.equal(htpasswd([other, file, 'dave'], 's3cret'), 0, other)
    await look()
    t.equal(await statusOf('dave', 's3cret'), 401, other)
    t.equal(await statusOf('bob', 'pässwörd mit Wörtern'), 200, other)
    writeFileSync(file, before)
    await look()
  }
})

t.test('R502: htpasswd verifies what entrepot user writes', async t => {
  const added = await runCli(['user', 'add', 'erin', '--config', config], {
    stdin: typed('s3cret\n'),
  })
  t.equal(added.exitCode, 0, added.stderr)
  t.equal(htpasswd(['-vi', file, 'erin'], 's3cret'), 0)
  t.not(htpasswd(['-vi', file, 'erin'], 'wrong'), 0)
})
