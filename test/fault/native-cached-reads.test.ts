// Goal: over TLS a blob that the system has in memory costs no trip through the thread pool, and
// what it does not have, or will not give, comes the usual way and right. Method: the real process
// under strace, which counts reads, and lets the ones of the addon fail.
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { BLOBS } from '../kit/worlds/edge-over-stub.ts'
import { type EdgeOptions, startEdge } from '../kit/worlds/edge-process.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { get } from '../kit/clients/raw-client.ts'
import { straceProcess } from '../kit/disk/strace-process.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

t.setTimeout(300_000)
requireSendfile()
const MiB = 1024 * 1024
const blob = patternBlob('cached', 5 * MiB)
/** The catalog's pages are read by the same call. */
const OTHER_READS_MAX_BYTES = 100_000

async function edgeWith(
  t: { teardown(fn: () => unknown): unknown },
  { plain = false, ...options }: Partial<EdgeOptions> & { plain?: boolean } = {},
) {
  const stub = await startStub(t)
  stub.addBlob('library/app', blob)
  const upstreams = { 'docker.io': { url: stub.url, http: true } }
  const edge = await startEdge({ upstreams, ...(plain ? {} : { tls: true }), ...options })
  t.teardown(() => edge.stop())
  const fetch = (headers: Record<string, string> = {}) =>
    get(`${edge.url}${BLOBS}/${blob.digest}`, headers)
  await fetch()
  return { edge, fetch }
}

/** Bytes that calls of the name gave, by what they returned. */
const bytesOf = (lines: readonly string[], name: string) =>
  lines
    .filter(line => new RegExp(`\\b${name}\\(|<\\.\\.\\. ${name} resumed`).test(line))
    .reduce((sum, line) => sum + Math.max(0, Number(/ = (-?\d+)[^=]*$/.exec(line)?.[1] ?? 0)), 0)

for (const threads of [1, 2]) {
  t.test(`a hot blob is read without the thread pool, ${threads} threads`, async t => {
    const { edge, fetch } = await edgeWith(t, { config: { http: { threads } } })
    const trace = await straceProcess(edge.pid, { calls: 'preadv2,pread64' })
    const answers = [await fetch(), await fetch(), await fetch()]
    const part = await fetch({ range: `bytes=${MiB + 1}-${3 * MiB}` })
    const lines = await trace.stop()
    t.ok(answers.every(({ body }) => body.equals(blob.bytes())))
    t.ok(part.body.equals(Buffer.from(blob.read(MiB + 1, 2 * MiB))))
    t.equal(bytesOf(lines, 'preadv2'), 17 * MiB)
    t.ok(bytesOf(lines, 'pread64') < OTHER_READS_MAX_BYTES, `${bytesOf(lines, 'pread64')} bytes`)
  })
}

t.test('what is not in memory, or cannot be asked for so, is read the usual way', async t => {
  const { edge, fetch } = await edgeWith(t)
  for (const inject of ['EAGAIN', 'EAGAIN:when=2+2', 'EOPNOTSUPP', 'EIO', 'EBADF']) {
    const trace = await straceProcess(edge.pid, {
      calls: 'preadv2',
      inject: `preadv2:error=${inject}`,
    })
    const answer = await fetch()
    const failed = (await trace.stop()).filter(line => line.includes('INJECTED'))
    t.ok(failed.length > 0, inject)
    t.equal(answer.complete, true, inject)
    t.ok(answer.body.equals(blob.bytes()), inject)
  }
})

t.test('ENTREPOT_NATIVE=off, and plain HTTP, do without', async t => {
  for (const options of [{ env: { ENTREPOT_NATIVE: 'off' } }, { plain: true }]) {
    const { edge, fetch } = await edgeWith(t, options)
    const trace = await straceProcess(edge.pid, { calls: 'preadv2' })
    const answer = await fetch()
    t.same(await trace.stop(), [])
    t.ok(answer.body.equals(blob.bytes()))
  }
})
