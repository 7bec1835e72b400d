// What goes on in this process beside the event loop while a test's clock stands: the disk, names
// that are looked up, the thread that writes the catalog, and requests to upstreams. Each takes a
// time of its own, in which the product's limits must not pass.
import { subscribe } from 'node:diagnostics_channel'
import type { Worker } from 'node:worker_threads'
import type {
  WriterReply,
  WriterRequest,
} from '../../../src/catalog/sqlite/writer/writer-thread.ts'

/** Turns of the event loop without any of it: timers, sockets and what waits for them need some. */
const STILL_TURNS = 20
/** The same where requests are open: those wait for something that does not come by itself. */
const STALLED_TURNS = 100

const BUSY = ['FSReq', 'GetAddrInfoReq']
let commits = 0
let moves = 0
const requests = new Set<object>()

subscribe('worker_threads', message => {
  const { worker } = message as { worker: Worker }
  const post = worker.postMessage.bind(worker)
  let own = 0
  const change = (by: number) => {
    own += by
    commits += by
  }
  worker.postMessage = (request: WriterRequest, transfer: Parameters<Worker['postMessage']>[1]) => {
    if (request.kind === 'commit') change(1)
    post(request, transfer)
  }
  worker.on('message', (reply: WriterReply) => {
    if (reply.kind === 'committed') change(-1)
  })
  worker.on('exit', () => change(-own))
})

for (const [event, isOver] of [
  ['create', false],
  ['bodySent', false],
  ['headers', false],
  ['trailers', true],
  ['error', true],
] as const)
  subscribe(`undici:request:${event}`, message => {
    const { request } = message as { request: object }
    moves += 1
    if (isOver) requests.delete(request)
    else requests.add(request)
  })

function isBusy(): boolean {
  return (
    commits > 0 ||
    process.getActiveResourcesInfo().some(name => BUSY.some(each => name.startsWith(each)))
  )
}

/**
 * Lets turns of the event loop pass until nothing of it goes on, or `isEnough`. Requests that stand
 * still are not waited for.
 */
export async function untilStill(isEnough: () => boolean): Promise<void> {
  let seen = moves
  for (let still = 0; !isEnough(); still += 1) {
    if (isBusy() || moves !== seen) still = 0
    else if (still >= (requests.size === 0 ? STILL_TURNS : STALLED_TURNS)) return
    seen = moves
    await new Promise(setImmediate)
  }
}
