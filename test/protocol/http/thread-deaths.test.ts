// Goal: an HTTP thread that dies of an error takes only its own clients with it; what it had open
// is closed, what it was sent counts, and another one takes its place. Method: the whole edge with
// two threads, of which the further one dies when the test says so.
import { once } from 'node:events'
import { readdir, readlink } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { OPEN_FOR_MS } from '../../../src/registry/reading/open-blobs.ts'
import { RESTART_DELAY_MS } from '../../../src/threads/http-threads.ts'
import { WAITING_TICK_MS, PLACE_WAIT_MAX_MS } from '../../../src/http/places/waiting-room.ts'
import { STALLED_WHILE_OTHERS_WAIT_MS } from '../../../src/http/send/stalled-readers.ts'
import { runCli } from '../../kit/cli.ts'
import { patternBlob } from '../../kit/content.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { openMortalChannel } from '../../kit/threads/mortal-channel.ts'
import { withDigest } from '../../kit/clients/raw-push.ts'
import { reachThreads, type ThreadClient } from '../../kit/clients/thread-clients.ts'

t.setTimeout(300_000)

const DIED = 'an http thread died and is started again'
const MIB = 1024 * 1024
/** The fewest that can be configured. */
const STREAMS = 64
/** Other threads tell of what they gave back in a few turns. */
const LOOKS_MAX = 500

const CONFIG = {
  http: { addr: '127.0.0.1:0', threads: 2, streams: STREAMS },
  default: 'localhost',
}

// One for all: starting threads from source is most of what this takes.
const edge = await startTestEdge(t, {
  upstreams: {},
  config: CONFIG,
  threadEntry: new URL('../../kit/threads/mortal-thread.ts', import.meta.url),
})
const { channel, say } = openMortalChannel()
t.teardown(() => channel.close())
let deaths = 0
/** Whose requests have this id is the thread that never dies. */
let firstThread: string | undefined

/** Resolves with the line that tells of it. */
async function kill() {
  say('die')
  deaths += 1
  return await edge.untilLogged(DIED, deaths)
}

async function isAlive(client: ThreadClient): Promise<boolean> {
  return await client.send('GET', '/v2/').then(
    ({ status }) => status === 200,
    () => false,
  )
}

/** Resolves with the metrics when the thread that was killed listens again. */
async function untilRestarted({ restartMs }: Awaited<ReturnType<typeof kill>>): Promise<string> {
  await edge.clock.advance(Number(restartMs))
  for (;;) {
    const text = await metricsText()
    if (text.includes('entrepot_http_threads{state="listening"} 1')) return text
  }
}

async function threadsInStatus(): Promise<unknown> {
  const { stdout } = await runCli(['status', '--json', '--socket', edge.socket])
  return (JSON.parse(stdout) as Record<string, unknown>)['threads']
}

t.test('its clients are cut off, the others go on, and another thread takes its place', async t => {
  const clients = await reachThreads(t, edge.url, 2)
  const line = await kill()
  t.match(line, { level: 'error', thread: 1, deaths: 1, restartMs: RESTART_DELAY_MS, hint: String })
  t.match(line['err'], { message: 'the test wanted this thread to die' })
  t.same(await threadsInStatus(), { configured: 2, listening: 1, deaths: 1 })
  t.same(await Promise.all(clients.map(isAlive)), [true, true], 'a client connects again by itself')
  const [first] = await reachThreads(t, edge.url, 1)
  firstThread = first?.thread
  const text = await untilRestarted(line)
  t.match(text, /^entrepot_http_thread_deaths_total 1$/m)
  t.same(await threadsInStatus(), { configured: 2, listening: 2, deaths: 1 })
  t.equal((await reachThreads(t, edge.url, 2)).length, 2)
  t.equal(edge.lines().filter(({ msg }) => msg === DIED).length, 1, 'one line tells of it')
})

t.test('death after death never ends the process, and the pauses grow', async t => {
  for (const times of [2, 3]) {
    const line = await kill()
    t.equal(line['restartMs'], RESTART_DELAY_MS * 2 ** (times - 1))
    await untilRestarted(line)
  }
  t.equal((await reachThreads(t, edge.url, 2)).length, 2)
})

t.test('the files that it was sending from are closed', async t => {
  const clients = await reachThreads(t, edge.url, 2)
  const blob = await pushBlob(t, 'open')
  const path = `/v2/app/blobs/${blob.digest}`
  const before = new Set(clients.map(({ thread }) => thread))
  // Readers that take nothing after the head, until both threads have some.
  const sockets: Socket[] = []
  const seen = new Set<string>()
  while (seen.size < before.size) {
    const socket = connectToAny()
    sockets.push(socket)
    const head = await beginReading(socket, path)
    seen.add(/x-request-id: ([0-9a-f]+)-/i.exec(head)?.[1] ?? '')
  }
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  const open = await openFiles(blob.digest)
  t.ok(open >= 1, 'one file for all, and where sendfile is there a copy of its descriptor for each')
  const line = await kill()
  // They are closed by other threads, beside the look at them.
  while (open > 1 && (await openFiles(blob.digest)) >= open) await edge.get('/v2/')
  for (const socket of sockets) socket.destroy()
  await edge.clock.advance(OPEN_FOR_MS)
  while ((await openFiles(blob.digest)) > 0) await edge.get('/v2/')
  await untilRestarted(line)
})

t.test(
  'R110: what a thread that died had received of an upload counts, and another goes on',
  async t => {
    const begun = await edge.send('POST', '/v2/app/blobs/uploads/')
    const location = String(begun.headers['location'])
    const { pathname, search } = new URL(location, edge.url)
    const socket = await connectToFurther(t)
    socket.write(
      `PATCH ${pathname}${search} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n0123456789`,
    )
    const received = async () => String((await edge.send('GET', location)).headers['range'])
    while ((await received()) !== '0-9') await edge.get('/v2/')
    const line = await kill()
    t.equal(await received(), '0-9')
    const body = Buffer.from('abcdefghij')
    const range = { 'content-range': '10-19' }
    const next = await edge.send('PATCH', location, { body, headers: range })
    t.equal(next.status, 202)
    t.equal(next.headers['range'], '0-19')
    await untilRestarted(line)
  },
)

t.test(
  'its places are free again: those it took, one that it was given, and one it waits for',
  async t => {
    // After the deaths before; otherwise not all of them can be taken here.
    if ((await untilStreams('in_flight', 0)) !== 0)
      throw new Error('the places of dead threads are taken')
    const blob = await pushBlob(t, 'places')
    const path = `/v2/app/blobs/${blob.digest}`
    const sockets: Socket[] = []
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
    })
    for (let taken = 0; taken < STREAMS; taken += 1) {
      const socket = connectToAny()
      sockets.push(socket)
      await beginReading(socket, path)
    }
    const [given, waiting] = [await connectToFurther(t), await connectToFurther(t)]
    const head = beginReading(given, path)
    await untilStreams('waiting', 1)
    void beginReading(waiting, path)
    await untilStreams('waiting', 2)
    sockets.pop()?.destroy()
    t.match(await head, /^HTTP\/1\.1 200 /)
    const line = await kill()
    for (const socket of sockets) socket.destroy()
    t.equal(await untilStreams('in_flight', 0), 0)
    t.equal(await untilStreams('waiting', 0), 0)
    await untilRestarted(line)
  },
)

t.test(
  'others that wait are told of on a further thread: what it holds counts, and who takes nothing is cut',
  async t => {
    if ((await untilStreams('in_flight', 0)) !== 0) throw new Error('places are taken')
    const path = `/v2/app/blobs/${(await pushBlob(t, 'waited for')).digest}`
    const sockets: Socket[] = []
    for (let taken = 0; taken < STREAMS; taken += 1) {
      const socket = await connectToFurther(t)
      sockets.push(socket)
      await beginReading(socket, path)
    }
    const [greedy, small] = [connectToAny(), connectToAny('127.0.0.2')]
    t.teardown(() => {
      for (const socket of [greedy, small]) socket.destroy()
    })
    const order: string[] = []
    const first = beginReading(greedy, path).then(head => order.push(`greedy ${head.slice(9, 12)}`))
    await untilStreams('waiting', 1)
    const second = beginReading(small, path).then(head => order.push(`small ${head.slice(9, 12)}`))
    await untilStreams('waiting', 2)
    await edge.clock.advance(WAITING_TICK_MS)
    // By the same way as the word to it, and so behind that.
    await untilStreams('waiting', 2)
    sockets.pop()?.destroy()
    await Promise.race([first, second])
    t.same(order, ['small 200'], 'the other has its share on the further thread')
    for (
      let ticks = 0;
      ticks < PLACE_WAIT_MAX_MS / WAITING_TICK_MS && order.length === 1;
      ticks += 1
    ) {
      await leap(STALLED_WHILE_OTHERS_WAIT_MS)
      await edge.clock.advance(WAITING_TICK_MS)
      await untilStreams('waiting', 0)
    }
    await Promise.all([first, second])
    t.same(order, ['small 200', 'greedy 200'], 'somebody gave up a place for it')
    t.match(await metricsText(), /^entrepot_streams_cut_total [1-9]/m)
    for (const socket of [...sockets, greedy, small]) socket.destroy()
    t.equal(await untilStreams('in_flight', 0), 0)
  },
)

/** Resolves when the clock of the further thread is so much later. */
async function leap(ms: number): Promise<void> {
  const leapt = new Promise(resolve => (channel.onmessage = resolve))
  say(ms)
  await leapt
}

async function metricsText(): Promise<string> {
  return (await fetch(`${edge.adminUrl}/metrics`)).text()
}

/** The number once it is `wanted`, or has been looked at very often. */
async function untilStreams(what: 'in_flight' | 'waiting', wanted: number): Promise<number> {
  let found = -1
  for (let looks = 0; looks < LOOKS_MAX && found !== wanted; looks += 1) {
    const text = await metricsText()
    const line = new RegExp(`^entrepot_streams_${what} (\\d+)$`, 'm').exec(text)
    found = Number(line?.[1])
  }
  return found
}

async function pushBlob(t: { equal(a: unknown, b: unknown): unknown }, seed: string) {
  const blob = patternBlob(seed, 32 * MIB)
  const { headers } = await edge.send('POST', '/v2/app/blobs/uploads/')
  const put = withDigest(String(headers['location']), blob.digest)
  t.equal((await edge.send('PUT', put, { body: blob.bytes() })).status, 201)
  return blob
}

function connectToAny(localAddress = '127.0.0.1'): Socket {
  const { port } = new URL(edge.url)
  const socket = connect({ host: '127.0.0.1', port: Number(port), localAddress })
  socket.on('error', () => {})
  return socket
}

/** Resolves with the head; nothing more is taken after it. */
function beginReading(socket: Socket, path: string): Promise<string> {
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  return new Promise(resolve =>
    socket.once('data', (piece: Buffer) => {
      socket.pause()
      resolve(piece.toString('latin1'))
    }),
  )
}

/** A connection to the thread that dies. */
async function connectToFurther(t: { teardown(fn: () => unknown): unknown }): Promise<Socket> {
  for (;;) {
    const socket = connectToAny()
    t.teardown(() => socket.destroy())
    socket.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    const thread = /x-request-id: ([0-9a-f]+)-/i.exec(answer.toString('latin1'))?.[1]
    if (thread !== undefined && thread !== firstThread) return socket
  }
}

async function openFiles(digest: string): Promise<number> {
  const hex = digest.slice(digest.indexOf(':') + 1)
  const links = await Promise.all(
    (await readdir('/proc/self/fd')).map(fd => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  )
  return links.filter(link => link.includes(hex)).length
}

t.test('one that takes the place of another goes by what was configured meanwhile', async t => {
  const statusOfPush = async () => {
    const clients = await reachThreads(t, edge.url, 2)
    const begun = clients.map(client => client.send('POST', '/v2/edge.lan/app/blobs/uploads/'))
    return (await Promise.all(begun)).map(({ status }) => status)
  }
  t.same(await statusOfPush(), [404, 404])
  await edge.reloaded({}, { ...CONFIG, http: { ...CONFIG.http, names: ['edge.lan'] } })
  t.same(await statusOfPush(), [202, 202])
  // What a thread was started with it does not keep either.
  await edge.reloaded(
    {},
    { ...CONFIG, http: { ...CONFIG.http, names: ['edge.lan'], localpush: false } },
  )
  t.same(await statusOfPush(), [403, 403])
  await edge.reloaded({}, { ...CONFIG, http: { ...CONFIG.http, names: ['edge.lan'] } })
  const before = await requestsTotal()
  await untilRestarted(await kill())
  t.ok((await requestsTotal()) >= before, 'and what the other had counted stays')
  t.same(await statusOfPush(), [202, 202])
})

/** As Prometheus adds it up. */
async function requestsTotal(): Promise<number> {
  const text = await metricsText()
  return [...text.matchAll(/^entrepot_requests_total\{.*\} (\d+)$/gm)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  )
}

t.test('a port that is shared between threads is not shared with a second edge', async t => {
  const http = { addr: new URL(edge.url).host, threads: 2 }
  const second = startTestEdge(t, { upstreams: {}, config: { http, default: 'localhost' } })
  await t.rejects(second, { message: /cannot listen on http.addr .*EADDRINUSE/, hint: String })
})
