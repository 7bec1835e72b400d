// Goal: a full disk costs the cache, never a pull (R07 of the programme). Method: the data
// directory is a tmpfs of 10 MiB; a blob that can't fit is pulled, then the disk is filled up while
// a blob that would have fitted is half-way, then room is made again.
import { join } from 'node:path'
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { type EdgeProcess, type LogLine, startEdge } from '../kit/worlds/edge-process.ts'
import { download, faultOf, stampede } from '../kit/clients/herd.ts'
import { judge } from '../kit/judges/oracle.ts'
import { mountSmallDisk } from '../kit/disk/small-disk.ts'
import { createBarrier } from '../kit/stubs/stub-faults.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

const MIB = 1024 * 1024

t.setTimeout(300_000)
const disk = await mountSmallDisk(10)
t.teardown(() => disk.unmount())
const stub = await startStub(t)
const edge = await startEdge({
  upstreams: { 'docker.io': { url: stub.url, http: true } },
  dataDirectory: join(disk.path, 'data'),
})
t.teardown(() => edge.stop())
const urlOf = (digest: string) => `${edge.url}/v2/library/full/blobs/${digest}`

/** Lines that tell an operator of the disk: a warning or worse, with a hint what to do. */
function complaints({ logs }: EdgeProcess): LogLine[] {
  return logs.filter(line => typeof line['hint'] === 'string' && isWarning(line))
}

function isWarning({ level }: LogLine): boolean {
  return typeof level === 'number' ? level >= 40 : ['warn', 'error', 'fatal'].includes(level ?? '')
}

t.test(
  'a blob larger than the disk reaches its client, uncached, and one line says what to do',
  async t => {
    const blob = patternBlob('larger', 30 * MIB)
    stub.addBlob('library/full', blob)
    t.equal(faultOf(await download({ url: urlOf(blob.digest), hash: true }), blob), undefined)
    // The edge gathers its lines: they come after the last byte.
    await edge.untilLogged(line => typeof line['hint'] === 'string' && isWarning(line))
    const lines = complaints(edge)
    t.equal(lines.length, 1, JSON.stringify(lines))
    t.notOk((await judge(edge.dataDirectory)).right.includes(blob.digest), 'it is not kept')
  },
)

t.test('a disk that fills up half-way costs none of the followers its download', async t => {
  const blob = patternBlob('half-way', 4 * MIB)
  stub.addBlob('library/full', blob)
  const barrier = createBarrier(2 * MIB)
  stub.fault({ kind: 'blob', digest: blob.digest }, { barrier }, { times: 1 })
  const herd = stampede(urlOf(blob.digest), { clients: 3 })
  await Promise.all([barrier.reached, herd.allStarted])
  await disk.fill()
  barrier.release()
  t.same(
    (await herd.all).map(got => faultOf(got, blob)),
    Array(3).fill(undefined),
  )
  const lines = complaints(edge)
  t.equal(lines.length, 1, 'the line of a moment ago is not repeated for every blob')
  const verdict = await judge(edge.dataDirectory)
  t.same(verdict.wrong, [])
  t.notOk(verdict.right.includes(blob.digest), 'it is not kept')
})

t.test('once there is room again blobs are kept again, without a restart', async t => {
  await disk.relieve()
  const blob = patternBlob('after', MIB)
  stub.addBlob('library/full', blob)
  t.equal(faultOf(await download({ url: urlOf(blob.digest), hash: true }), blob), undefined)
  t.equal(faultOf(await download({ url: urlOf(blob.digest), hash: true }), blob), undefined)
  t.equal(stub.count({ kind: 'blob', method: 'GET', digest: blob.digest }), 1)
})
