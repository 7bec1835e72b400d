// A program that uses the native sender as badly as it can be used, for a build with sanitizers:
// connections and threads end at any moment, sendings are closed while they send, what is sent is
// compared. Arguments: the built sender, a seed, how many connections. Prints `done` and how much
// was whole.
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isMainThread, parentPort, threadId, Worker, workerData } from 'node:worker_threads'
import { type Addon, descriptorOf, loadAddon } from '../../../src/http/addon.ts'
import { loadSendfile } from '../../../src/http/send/sendfile.ts'
import { createRandom, type Random } from '../seeded.ts'

interface Storm {
  readonly built: string
  readonly seed: number
  readonly connections: number
}

const FILE_BYTES = 3_000_000
const AT_ONCE = 24
const CLOSED_AT_ONCE = 40
const content = Buffer.from(
  Array.from({ length: FILE_BYTES }, (_, at) => (at * 31 + (at >> 9)) & 255),
)

async function storm({ built, seed, connections }: Storm): Promise<number> {
  const sendfile = loadSendfile(built)
  const addon = loadAddon(built)
  if (sendfile === undefined || addon === undefined)
    throw new Error('the built sender cannot be loaded')
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-storm-'))
  const path = join(directory, 'file')
  writeFileSync(path, content)
  const random = createRandom(seed + threadId)
  let whole = 0

  async function serveOne(socket: Socket): Promise<void> {
    const file = openSync(path, 'r')
    readSome(addon, { file, random })
    addon?.limit?.(descriptorOf(socket) ?? -1, random.below(FILE_BYTES))
    closeAtOnce(socket, file)
    const sending = sendfile?.open(socket, file)
    if (random.oneIn(2)) closeSync(file)
    else setImmediate(() => closeSync(file))
    if (sending === undefined) return
    try {
      for (let part = random.between(1, 6); part > 0; part -= 1) {
        const position = random.below(FILE_BYTES)
        const sent = sending.send(position, random.between(1, FILE_BYTES - position))
        sent.catch(() => {})
        if (random.oneIn(4)) setImmediate(() => sending.close())
        if (random.oneIn(8)) setImmediate(() => socket.destroy())
        // Refused while the other runs.
        if (random.oneIn(50)) void sending.send(0, 1)
        await sent
      }
    } catch {
      // Whatever was done to it.
    }
    sending.close()
    if (random.oneIn(2)) socket.destroy()
    else socket.end()
  }

  /** Closed while a worker takes the order: each of the two may find it first. */
  function closeAtOnce(socket: Socket, file: number): void {
    for (let time = 0; time < CLOSED_AT_ONCE; time += 1) {
      const sending = sendfile?.open(socket, file)
      sending?.send(random.below(FILE_BYTES - 1), 1).catch(() => {})
      sending?.close()
    }
  }

  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.resume()
    void serveOne(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const client = async (count: number) => {
    for (let n = 0; n < count; n += 1) if (await readOne(port, random)) whole += 1
  }
  await Promise.all(Array.from({ length: AT_ONCE }, () => client(connections / AT_ONCE)))
  server.close()
  rmSync(directory, { recursive: true })
  return whole
}

/** @returns whether it was read to the end that the other side gave it. */
async function readOne(port: number, random: Random): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  const limit = random.oneIn(3) ? random.below(2 * FILE_BYTES) : Number.POSITIVE_INFINITY
  let bytes = 0
  try {
    for await (const piece of socket) {
      bytes += (piece as Buffer).length
      if (bytes > limit) break
      if (random.oneIn(20)) await new Promise(setImmediate)
    }
  } catch {
    return false
  } finally {
    if (random.oneIn(2)) socket.destroy()
    else socket.resetAndDestroy()
  }
  return bytes < limit
}

/**
 * Part of the file and of nothing else, from anywhere, into a buffer of any size; and from what is
 * no file.
 */
function readSome(addon: Addon | undefined, { file, random }: { file: number; random: Random }) {
  const buffer = Buffer.alloc(random.oneIn(4) ? random.below(3) : random.below(FILE_BYTES / 10))
  const position = random.below(FILE_BYTES + 10_000)
  const count = addon?.read?.(random.oneIn(8) ? -1 : file, buffer, position) ?? 0
  const read = buffer.subarray(0, Math.max(0, count))
  if (!read.equals(content.subarray(position, position + read.length)))
    throw new Error(`other bytes from ${position}`)
}

if (isMainThread) {
  const [built = '', seed = '1', connections = '480'] = process.argv.slice(2)
  const data: Storm = { built, seed: Number(seed), connections: Number(connections) }
  const random = createRandom(data.seed)
  const own = storm(data)
  // Threads that come and go meanwhile, most of them before they are done.
  for (let thread = 0; thread < 8; thread += 1) {
    const worker = new Worker(new URL(import.meta.url), { workerData: data })
    worker.on('error', error => {
      throw error
    })
    const ended = new Promise<void>(resolve => worker.once('exit', () => resolve()))
    if (!random.oneIn(4)) {
      await new Promise(resolve => worker.once('online', resolve))
      for (let turn = random.below(2_000); turn > 0; turn -= 1) await new Promise(setImmediate)
      await worker.terminate()
    }
    await ended
  }
  console.log(`done, ${await own} whole`)
} else {
  parentPort?.postMessage(await storm(workerData as Storm))
}
