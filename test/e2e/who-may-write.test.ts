// Goal: nothing that a stranger can cause writes to an edge, whatever stands in front of it on its
// machine; programs that root, its own user or a person runs there do write. Method: the process
// that `npm start` starts, with two HTTP threads; real proxies and forwarders as their daemons'
// users; curl as each kind of user; a network namespace behind a bridge for a container. What is
// refused is refused by a 403 that says why, and the same way is seen to read, so that a forwarder
// that does not work proves nothing.
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { PROJECT, startArguments, startEdge } from '../kit/worlds/edge-process.ts'
import { get, sendRaw } from '../kit/clients/raw-client.ts'
import { openBridge } from './bridge.ts'
import { FORWARDERS, socat } from './forwarders.ts'
import { freshDirectory, runCommand, startProcess } from './processes.ts'

t.setTimeout(300_000)

const UPLOADS = '/v2/localhost/team/app/blobs/uploads/'
const TAGS = '/v2/localhost/team/app/tags/list'
const WHY =
  /until this registry has accounts it takes pushes only from programs on its own machine: ./

const edge = await startEdge({
  directory: freshDirectory('edge'),
  // On every address, as by default.
  config: { http: { addr: '0.0.0.0:0', threads: 2 } },
})
const { port } = new URL(edge.url)
const target = `127.0.0.1:${port}`
/** What a stranger says who wants to be taken for a program of the machine. */
const HOSTS = [`localhost:${port}`, '127.0.0.1', 'edge.example.com']

interface Seen {
  readonly status: number
  readonly message: string
}

async function push(authority: string, host: string): Promise<Seen> {
  const headers = { host, 'user-agent': 'docker/29.0', accept: '*/*' }
  const answer = await get(`http://${authority}${UPLOADS}`, headers, { method: 'POST', body: '' })
  return { status: answer.status, message: answer.body.toString() }
}

// Each thread keeps what it knows of connections to itself, and the kernel spreads them.
const TIMES = 4

for (const forwarder of FORWARDERS) {
  await t.test(`nobody pushes through ${forwarder.name}`, async t => {
    const { authority, stop } = await forwarder.start(target)
    try {
      for (const host of HOSTS) {
        const read = await get(`http://${authority}/v2/`, { host })
        t.equal(read.status, 200, `${host}: it forwards`)
        for (let time = 0; time < TIMES; time += 1) {
          const { status, message } = await push(authority, host)
          t.equal(status, 403, host)
          t.match(message, WHY, host)
        }
      }
    } finally {
      await stop()
    }
  })
}

await t.test('a container behind a bridge pushes to no address of the machine', async t => {
  const bridge = openBridge()
  t.teardown(() => bridge.remove())
  for (const host of HOSTS) {
    const url = `http://${bridge.address}:${port}`
    const silent = ['--silent', '--noproxy', '*', '--header', `Host: ${host}`]
    const curl = (...args: string[]) => bridge.run('curl', [...silent, ...args])
    t.equal(await curl(`${url}/v2/`), '{}', 'it reaches the edge')
    t.match(await curl('--request', 'POST', `${url}${UPLOADS}`), WHY, host)
  }
})

const STATUS = [
  '--silent',
  '--noproxy',
  '*',
  '--output',
  '/dev/null',
  '--write-out',
  '%{http_code}',
]

function curlAs(user: string, ...args: string[]): Promise<string> {
  const as = [`--reuid=${user}`, `--regid=${user}`, '--clear-groups']
  return runCommand('/usr/bin/setpriv', [...as, '/usr/bin/curl', ...STATUS, ...args])
}

await t.test('root and persons push, users of daemons do not', async t => {
  const url = `http://localhost:${port}${UPLOADS}`
  for (const [user, status] of [
    ['0', '202'],
    ['1000', '202'],
    ['60513', '202'],
    ['33', '403'],
    ['999', '403'],
    ['61184', '403'],
    ['65534', '403'],
  ] as const) {
    for (let time = 0; time < TIMES; time += 1) {
      t.equal(await curlAs(user, '--request', 'POST', url), status, user)
    }
    t.equal(await curlAs(user, `http://localhost:${port}/v2/`), '200', `${user} reads`)
  }
})

await t.test('who closes at once what a daemon sent is not taken for root', async t => {
  // Most kernels give a socket that no program holds any more to root;
  // test/unit/http/connection-owners has what they write then. A program of the system's: this
  // clone may lie where a daemon may not look.
  const head = `POST ${UPLOADS} HTTP/1.1\\r\\nHost: localhost\\r\\nUser-Agent: closes/1.0\\r\\n\\r\\n`
  const program = `exec 3<>/dev/tcp/127.0.0.1/${port} && printf '${head}' >&3`
  // It has closed before the edge can look.
  process.kill(edge.pid, 'SIGSTOP')
  const from = edge.logs.length
  const { status, stderr } = spawnSync('/bin/bash', ['-c', program], {
    cwd: '/',
    uid: 33,
    gid: 33,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  })
  process.kill(edge.pid, 'SIGCONT')
  t.equal(status, 0, stderr)
  const line = await edge.untilLogged(
    each => each.msg === 'request completed' && each['userAgent'] === 'closes/1.0',
    from,
  )
  t.equal(line['errorCode'], 'DENIED')
})

await t.test('a whole blob that is sent through a forwarder is not there afterwards', async t => {
  const forwarder = FORWARDERS.find(({ name }) => name === 'HAProxy, tcp')
  const forwarding = await forwarder?.start(target)
  const digest = 'sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881'
  const head = [
    `POST ${UPLOADS}?digest=${digest} HTTP/1.1`,
    `Host: localhost:${port}`,
    'Connection: close',
    'Content-Length: 1',
  ]
  const answer = await sendRaw(`http://${forwarding?.authority}`, `${head.join('\r\n')}\r\n\r\nx`)
  t.equal(answer.status, 403)
  const there = await edge.send('GET', `/v2/localhost/team/app/blobs/${digest}`)
  t.equal(there.status, 404)
  t.equal((await edge.send('GET', TAGS)).status, 404)
  await forwarding?.stop()
})

/** A sidecar's user: to Linux a person. */
const SIDECAR = 1_337

await t.test('R308: in a pod nobody pushes through a sidecar', async t => {
  const inPod = await startEdge({
    directory: freshDirectory('edge'),
    env: { KUBERNETES_SERVICE_HOST: '10.96.0.1' },
  })
  t.teardown(() => inPod.stop())
  const at = new URL(inPod.url).host
  for (const [to, status, why] of [
    [at, 403, /because it runs in a pod/],
    // What SECURITY.md says is left: one that runs on a machine as a person.
    [target, 202, /^$/],
  ] as const) {
    const sidecar = await socat('a sidecar', SIDECAR).start(to)
    const host = `localhost:${to.split(':')[1]}`
    t.equal((await get(`http://${sidecar.authority}/v2/`, { host })).status, 200, 'it forwards')
    const { status: got, message } = await push(sidecar.authority, host)
    t.equal(got, status)
    t.match(message, why)
    await sidecar.stop()
  }
})

await t.test('R308: in a rootless container who comes in as its root does not push', async t => {
  // Root of the namespace is uid 1234 outside, as whom a container engine forwards; the server is
  // another user of it.
  const holder = startProcess('/usr/bin/unshare', [
    '--user',
    '--net',
    'sh',
    '-c',
    'echo there; exec tail -f /dev/null',
  ])
  t.teardown(() => holder.stop())
  await holder.line(line => line === 'there')
  for (const map of ['uid_map', 'gid_map'])
    writeFileSync(`/proc/${holder.pid}/${map}`, '0 1234 1\n1 0 1\n')
  const within = (user: number) => [
    `--target=${holder.pid}`,
    '--user',
    '--net',
    `--setuid=${user}`,
    `--setgid=${user}`,
  ]
  const nsenter = '/usr/bin/nsenter'
  await runCommand(nsenter, [`--target=${holder.pid}`, '--net', 'ip', 'link', 'set', 'lo', 'up'])
  for (const [localpush, status] of [
    [undefined, '403'],
    [true, '202'],
  ] as const) {
    const directory = freshDirectory('edge')
    const file = join(directory, 'config.yaml')
    const http = { addr: '127.0.0.1:5000', ...(localpush === undefined ? {} : { localpush }) }
    const admin = { addr: '127.0.0.1:0', socket: join(directory, 'admin.sock') }
    const storage = { rootdirectory: join(directory, 'data') }
    writeFileSync(file, JSON.stringify({ http, admin, storage }))
    const serve = [...(await startArguments()), 'serve', '--config', file]
    const server = startProcess(nsenter, [...within(1), process.execPath, ...serve], {
      cwd: PROJECT,
    })
    await server.line(line => line.includes('"msg":"serving"'))
    const url = 'http://localhost:5000'
    const curl = (...args: string[]) =>
      runCommand(nsenter, [...within(0), '/usr/bin/curl', ...STATUS, ...args])
    t.equal(await curl(`${url}/v2/`), '200')
    t.equal(await curl('--request', 'POST', `${url}${UPLOADS}`), status, `localpush: ${localpush}`)
    await server.stop()
  }
})

await t.test('the unit lets the server see persons as persons', async t => {
  const unit = readFileSync(new URL('../../systemd/entrepot.service', import.meta.url), 'utf8')
  // What PrivateUsers= makes of the users of the machine: all but root and its own are nobody.
  const isPrivate = !/^PrivateUsers=no$/m.test(unit)
  const view = isPrivate ? ['unshare', '--user', '--map-users=0,0,1'] : ['env']
  const owners = new URL('../../src/http/connection-owners.ts', import.meta.url).href
  const program = `
    import { createServer } from 'node:net'
    import { createConnectionOwners } from '${owners}'
    const server = createServer(async socket => {
      console.log('owner', JSON.stringify(await createConnectionOwners().find(socket)))
      server.close()
      socket.destroy()
    })
    server.listen(0, '127.0.0.1', () => console.log('port', server.address().port))`
  const node = [process.execPath, '--input-type=module', '--eval', program]
  const server = startProcess(view[0] ?? '', [...view.slice(1), ...node])
  const port = (await server.line(line => line.startsWith('port '))).slice('port '.length)
  const as = ['--reuid=1000', '--regid=1000', '--clear-groups']
  const curl = startProcess('/usr/bin/setpriv', [
    ...as,
    '/usr/bin/curl',
    `http://127.0.0.1:${port}`,
  ])
  const told = await server.line(line => line.startsWith('owner '))
  t.same(JSON.parse(told.slice('owner '.length)), { kind: 'user', uid: 1_000 })
  await Promise.all([server.exited, curl.exited])
})

await edge.stop()
