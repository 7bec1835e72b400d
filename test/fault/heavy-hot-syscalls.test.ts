// Goal: a small object that is asked for again and again costs the few system calls of its
// connection and nothing else: no look at disk or catalog, no sync, no thread woken for it. Method:
// the real process with one HTTP thread, 500 requests one after the other over a kept connection,
// and strace, which counts what all of its threads asked of the kernel meanwhile.
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { makeImage } from '../kit/image.ts'
import { createKeepAliveClient } from '../kit/clients/keep-alive-client.ts'
import { straceProcess } from '../kit/disk/strace-process.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

t.setTimeout(300_000)

const REQUESTS = 500
/** Answers come from memory, their use is noted, and the code that gives them is compiled. */
const WARM_UP = 1_000
/**
 * One read, one write of head and body, one or two waits, and a share of the log's writes and of
 * what the collector of garbage does: 2.7 to 4 were seen. One trip through the thread pool is ten
 * more, an answer from disk forty.
 */
const CALLS_PER_REQUEST_MAX = 5
/**
 * All that connections, the log, memory and threads take. What is left is files: of the content,
 * and of the catalog.
 */
const WITHOUT_FILES =
  /^(read|write|writev|epoll_p?wait|futex|getpid|brk|mmap|munmap|mprotect|madvise|sched_\w+|rt_sig\w+|restart_syscall|clock_\w+)$/
/**
 * For all requests together: the catalog writes down in one go what was used. One statement for
 * each request would be 2,000.
 */
const FILE_CALLS_MAX = 50

const image = makeImage({ seed: 'hot', layers: [4_096] })
const [layer] = image.layers
if (layer === undefined) throw new Error('one layer')

const stub = await startStub(t)
stub.addImage('library/app', 'v1', image)
const edge = await startEdge({
  upstreams: { 'docker.io': { url: stub.url, http: true, ttl: '1h' } },
  config: { http: { threads: 1 } },
})
t.teardown(() => edge.stop())
const client = createKeepAliveClient(edge.url)
t.teardown(() => client.close())

const OBJECTS = {
  'a manifest by digest': { path: `manifests/${image.manifest.digest}`, ...image.manifest },
  'a manifest by tag': { path: 'manifests/v1', ...image.manifest },
  'a blob of 4 KiB': { path: `blobs/${layer.digest}`, bytes: layer.bytes() },
}

for (const [what, { path, bytes }] of Object.entries(OBJECTS)) {
  t.test(`${what} costs ${CALLS_PER_REQUEST_MAX} system calls at most, and no file`, async t => {
    const ask = async (times: number) => {
      for (let count = 0; count < times; count += 1) {
        const { status, body } = await client.ask(`/v2/library/app/${path}`)
        if (status !== 200 || !body.equals(bytes)) throw new Error(`${status}, or other bytes`)
      }
    }
    await ask(WARM_UP)
    const trace = await straceProcess(edge.pid, { calls: 'all' })
    await ask(REQUESTS)
    const calls = countCalls(await trace.stop())
    t.comment(JSON.stringify(Object.fromEntries(calls)))
    const sum = (counted: Iterable<number>) => [...counted].reduce((all, each) => all + each, 0)
    const all = sum(calls.values())
    t.ok(all >= 2 * REQUESTS, `${all} calls were seen`)
    t.ok(all <= CALLS_PER_REQUEST_MAX * REQUESTS, `${all} calls for ${REQUESTS} requests`)
    const ofFiles = [...calls].filter(([name]) => !WITHOUT_FILES.test(name))
    t.ok(sum(ofFiles.map(([, count]) => count)) <= FILE_CALLS_MAX, JSON.stringify(ofFiles))
  })
}

/** By name; a call that another thread's line interrupts has two lines and counts once. */
function countCalls(lines: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const line of lines) {
    const name = /^\d+ +(\w+)\(/.exec(line)?.[1]
    if (name !== undefined) counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}
