// Goal: an edge elsewhere is run by the same commands, with a token that no argument and no line
// holds, and by nobody whom it does not let in. Method: the edge in process, its operator's API on
// loopback and over TLS, commands as `main.ts` runs them.
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { askSocket } from '../../kit/clients/admin-socket.ts'
import { makeAuthority, makeCertificate } from '../../kit/certificate.ts'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { closeServer } from '../../kit/loopback.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const image = makeImage({ seed: 'other edge', layers: [1_000] })

const OPS = 'spiffe://site/ops'

type Test = Parameters<typeof startTestEdge>[0] & Pick<typeof t, 'testdir'>

async function open(test: Test, isTls = false, hasClients = isTls) {
  const stub = await startStub(test)
  stub.addImage('library/app', 'v1', image)
  const { key, cert, ca } = makeCertificate({ names: ['localhost', '127.0.0.1'] })
  const clients = makeAuthority()
  const ofOps = makeCertificate({ authority: clients, usage: 'client', names: [OPS] })
  const files = test.testdir({
    'tls.crt': cert,
    'tls.key': key,
    'ca.crt': ca,
    'clients.crt': clients.ca,
    'ops.crt': ofOps.cert,
    'ops.key': ofOps.key,
    htpasswd: '',
  })
  const at = (name: string) => join(files, name)
  const tls = {
    certificate: at('tls.crt'),
    key: at('tls.key'),
    clientcas: hasClients ? [at('clients.crt')] : [],
  }
  const rule = (who: string, ...allow: readonly string[]) => ({ who, match: '**', allow })
  const edge = await startTestEdge(test, {
    upstreams: { 'docker.io': { url: stub.url } },
    config: {
      http: { addr: '127.0.0.1:0', ...(isTls && { tls }) },
      admin: { addr: '127.0.0.1:0', api: '127.0.0.1:0' },
      auth: { htpasswd: { path: at('htpasswd') } },
      access: [
        rule('robot:fleet', 'pull', 'list', 'admin'),
        ...(hasClients ? [rule(`cert:${OPS}`, 'pull', 'list', 'admin')] : []),
        rule('*', 'pull'),
      ],
    },
  })
  const secretOf = async (name: string) => {
    const path = `/api/v1/robots/issue?name=${name}&life=Infinity`
    const { body } = await askSocket(edge.socket, path, { method: 'POST' })
    return (JSON.parse(body) as { secret: string }).secret
  }
  const fleet = await secretOf('fleet')
  writeFileSync(at('token'), `${fleet}\n`)
  const ca_ = isTls ? ['--ca', at('ca.crt')] : []
  const url = edge.apiUrl.replace('127.0.0.1', 'localhost')
  const run = (...argv: readonly string[]) =>
    runCli([...argv, '--admin', url, '--token-file', at('token'), ...ca_])
  return { edge, url, at, run, fleet, secretOf }
}

for (const isTls of [false, true])
  t.test(
    `R736, R808: ${isTls ? 'over TLS' : 'on loopback'} commands run an edge elsewhere`,
    async t => {
      const { edge, run, at } = await open(t, isTls)
      const status = await run('status')
      t.match(status, { exitCode: 0, stdout: /version +test/ })
      t.match(status.stdout, new RegExp(`^admin\\.api +${edge.apiUrl}, for whom`, 'm'))
      t.match(await run('pull', 'docker.io/library/app:v1'), { exitCode: 0, stdout: /is here/ })
      t.match(await run('ls', '--json'), { exitCode: 0, stdout: /docker\.io\/library\/app:v1/ })
      t.match(await run('why', 'docker.io/library/app:v1'), { exitCode: 0 })
      t.match(await run('inspect', 'docker.io/library/app:v1'), { exitCode: 0 })
      t.match(await run('pin', 'docker.io/library/app:v1'), { exitCode: 0, stdout: /is pinned/ })
      t.match(await run('unpin', 'docker.io/library/app:v1'), { exitCode: 0 })
      t.match(await run('gc', '--dry-run'), { exitCode: 0, stdout: /would go/ })
      t.match(await run('jobs', 'ls'), { exitCode: 0 })
      t.match(await run('queue', 'ls'), { exitCode: 0 })
      t.match(await run('token', 'issue', 'ci'), { exitCode: 0, stdout: /^erb_/ })
      t.match(await run('token', 'ls'), { exitCode: 0, stdout: /^fleet/m })
      const exported = ['export', 'docker.io/library/app:v1', '-o', at('bundle')]
      t.match(await run(...exported), { exitCode: 0, stdout: /bundle is written/ })
      t.match(await run('inventory'), { exitCode: 0, stdout: /"signature"/ })
      t.match(await run('purge', 'docker.io/**'), { exitCode: 0 })
    },
  )

t.test('R736: a certificate is enough, with its key in a file, and is shown over TLS', async t => {
  const { url, at } = await open(t, true)
  const show = (...argv: readonly string[]) =>
    runCli(['pull', 'docker.io/library/app:v1', '--admin', url, '--ca', at('ca.crt'), ...argv])
  const mine = ['--cert', at('ops.crt'), '--key', at('ops.key')]
  t.match(await show(...mine), { exitCode: 0, stdout: /is here/ })
  for (const [argv, stderr] of [
    [['--cert', at('ops.crt')], /--cert and --key go together/],
    [['--cert', at('ops.crt'), '--key', at('none')], /--key: .*none cannot be read/],
    [['--cert', at('ops.crt'), '--key', at('tls.key')], /no certificate with its key/],
    [[], /takes a token.* or a certificate/],
  ] as const)
    t.match(await show(...argv), { exitCode: 2, stderr }, argv.join(' '))
  const plain = ['status', '--admin', 'http://localhost:5002', ...mine]
  t.match(await runCli(plain), { exitCode: 2, stderr: /over TLS alone/ })
  t.match(await runCli(['status', ...mine]), { exitCode: 2, stderr: /are for --admin/ })
})

t.test('R736: the token may be in the environment, and is shown to nobody else', async t => {
  const { url, at, fleet, secretOf, edge } = await open(t)
  const status = (env: Readonly<Record<string, string>>, ...argv: readonly string[]) =>
    runCli(['status', '--admin', url, ...argv], { env })
  t.match(await status({ ENTREPOT_TOKEN: fleet }), { exitCode: 0 })
  const other = await secretOf('other')
  const denied = await status({ ENTREPOT_TOKEN: other })
  t.match(denied, { exitCode: 1, stderr: /no rule of access allows admin/ })
  t.match(await status({ ENTREPOT_TOKEN: 'wrong' }), { exitCode: 1, stderr: /not good here/ })
  t.match(await status({}), { exitCode: 2, stderr: /takes a token/ })
  t.match(await status({}, '--token-file', at('none')), { exitCode: 2, stderr: /cannot be read/ })
  t.match(await status({}, '--token-file', at('htpasswd')), { exitCode: 2, stderr: /no token/ })
  const usage = (...argv: readonly string[]) =>
    runCli(['status', ...argv], { env: { ENTREPOT_TOKEN: fleet } })
  for (const [argv, stderr] of [
    [['--admin', 'http://edge.example.com:5002'], /is https, but on this machine/],
    [['--admin', 'edge.example.com:5002'], /is a URL such as https/],
    [['--admin', 'https://me:secret@edge.example.com'], /takes no password/],
    [['--admin', url, '--socket', edge.socket], /two servers/],
    [['--token-file', at('token')], /are for --admin/],
  ] as const) {
    const told = await usage(...argv)
    t.match(told, { exitCode: 2, stderr }, argv.join(' '))
    t.notMatch(told.stderr, /me:secret|erb_/)
  }
})

t.test('R736: what is no edge, or nobody this machine trusts, is told', async t => {
  const { url, at, fleet } = await open(t, true, false)
  const env = { ENTREPOT_TOKEN: fleet }
  t.match(await runCli(['status', '--admin', url], { env }), {
    exitCode: 69,
    stderr: /no authority that is trusted here.*--ca FILE/,
  })
  t.match(await runCli(['status', '--admin', url.replace('https:', 'http:')], { env }), {
    exitCode: 1,
    stderr: /speaks TLS and got plain HTTP/,
  })
  const named = ['status', '--admin', url.replace('localhost', '[::1]'), '--ca', at('ca.crt')]
  t.match(await runCli(named, { env }), { exitCode: 69, stderr: /no server listens there/ })
  const server = createServer((_request, response) => response.end('<html>'))
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => closeServer(server))
  const other = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.match(await runCli(['status', '--admin', other], { env }), {
    exitCode: 69,
    stderr: /is no admin\.api of an edge/,
  })
})
