// Goal: transfers that clients break off leave nothing behind: no descriptor, no thread, no memory.
// Method: the real process, ABORTS downloads by 16 clients that are cut after a seeded number of
// bytes, counted in /proc before and after.
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { BLOBS } from '../kit/worlds/edge-over-stub.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { get } from '../kit/clients/raw-client.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

t.setTimeout(900_000)
const ABORTS = Number(process.env['ABORTS'] ?? '2000')
const CLIENTS = 16
const MiB = 1024 * 1024
/**
 * What a process may grow by for other reasons: caches of compiled code, heaps that are cleared
 * later.
 */
const GROWTH_MAX_BYTES = 48 * MiB

interface Held {
  readonly descriptors: number
  readonly threads: number
  readonly residentBytes: number
}

function heldBy(pid: number): Held {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const number = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1])
  return {
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: number('Threads'),
    residentBytes: number('VmRSS') * 1024,
  }
}

t.test('thousands of broken transfers leave nothing behind', async t => {
  requireSendfile()
  const seed = seedOf(process.env)
  t.comment(`seed ${seed}, ${ABORTS} transfers`)
  const random = createRandom(seed)
  const stub = await startStub(t)
  const edge = await startEdge({
    upstreams: { 'docker.io': { url: stub.url, http: true } },
    // Each has a heap of its own that grows by itself, as many as the machine has cores.
    config: { http: { threads: 1 } },
  })
  t.teardown(() => edge.stop())
  const blob = patternBlob('leaks', 16 * MiB)
  stub.addBlob('library/app', blob)
  const url = `${edge.url}${BLOBS}/${blob.digest}`
  t.equal((await get(url)).bodyBytes, blob.sizeBytes)

  const breakOff = async (transfers: number) => {
    const client = async () => {
      for (let n = 0; n < transfers / CLIENTS; n += 1) {
        const range = `bytes=${random.below(2 * MiB)}-`
        await get(url, { range }, { abortAfterBytes: random.below(2 * MiB) + 1, onBytes: () => {} })
      }
    }
    await Promise.all(Array.from({ length: CLIENTS }, client))
    // The last of them is closed a moment after its client has left.
    let held = heldBy(edge.pid)
    while (before !== undefined && held.descriptors > before.descriptors) {
      await get(`${edge.url}/v2/`)
      held = heldBy(edge.pid)
    }
    return held
  }
  let before: Held | undefined
  const idle = heldBy(edge.pid)
  before = idle
  const warm = await breakOff(ABORTS / 4)
  const after = await breakOff(ABORTS)
  t.comment(`resident ${warm.residentBytes / MiB} → ${after.residentBytes / MiB} MiB`)
  t.ok(after.descriptors <= idle.descriptors, `${idle.descriptors} → ${after.descriptors}`)
  t.equal(after.threads, warm.threads)
  t.ok(after.residentBytes - warm.residentBytes < GROWTH_MAX_BYTES)
  t.equal((await get(url)).bodyBytes, blob.sizeBytes)
})
