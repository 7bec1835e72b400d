// Goal: large blobs really go out by sendfile, and by nothing else of this process; without the
// native sender, and where sendfile cannot or fails, they go out right or not whole. Method: the
// real process under strace, which also lets calls fail.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test as Tap } from 'tap'
import { type Content, patternBlob } from '../kit/content.ts'
import { BLOBS } from '../kit/worlds/edge-over-stub.ts'
import { type EdgeOptions, startEdge } from '../kit/worlds/edge-process.ts'
import { requireSendfile } from '../kit/threads/native.ts'
import { get } from '../kit/clients/raw-client.ts'
import { straceProcess } from '../kit/disk/strace-process.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'

t.setTimeout(300_000)
requireSendfile()
const MiB = 1024 * 1024
const PROJECT = new URL('../..', import.meta.url).pathname
const PACKAGE = readFileSync(join(PROJECT, 'package.json'), 'utf8')
const big = patternBlob('traced', 5 * MiB)
const small = patternBlob('traced', 100_000)

async function edgeWith(
  t: { teardown(fn: () => unknown): unknown },
  options: Pick<EdgeOptions, 'env' | 'main'> = {},
) {
  const stub = await startStub(t)
  const upstreams = { 'docker.io': { url: stub.url, http: true } }
  const edge = await startEdge({ upstreams, ...options })
  t.teardown(() => edge.stop())
  const fetch = ({ digest }: Content, headers: Record<string, string> = {}) =>
    get(`${edge.url}${BLOBS}/${digest}`, headers)
  for (const blob of [big, small]) {
    stub.addBlob('library/app', blob)
    await fetch(blob)
  }
  return { edge, fetch }
}

const sendfiles = (lines: readonly string[]) => lines.filter(line => /\bsendfile\(/.test(line))
/** Bytes that calls of the name gave to somebody, by what they returned. */
const bytesOf = (lines: readonly string[], name: string) =>
  lines
    .filter(line => new RegExp(`\\b${name}\\(|<\\.\\.\\. ${name} resumed`).test(line))
    .reduce((sum, line) => sum + Math.max(0, Number(/ = (-?\d+)[^=]*$/.exec(line)?.[1] ?? 0)), 0)

t.test('a large blob goes out by sendfile, and its bytes are not read or written', async t => {
  const { edge, fetch } = await edgeWith(t)
  t.match(await edge.untilLogged(line => line.msg === 'serving'), { sending: 'sendfile' })
  const trace = await straceProcess(edge.pid, { calls: 'sendfile,pread64,write,writev' })
  const answer = await fetch(big)
  const part = await fetch(big, { range: `bytes=${MiB}-${3 * MiB - 1}` })
  const lines = await trace.stop()
  t.equal(Buffer.compare(answer.body, big.bytes()), 0)
  t.equal(Buffer.compare(part.body, big.read(MiB, 2 * MiB)), 0)
  t.equal(bytesOf(lines, 'sendfile'), 7 * MiB)
  // The catalog's pages are read by the same call.
  t.ok(bytesOf(lines, 'pread64') < 100_000, `${bytesOf(lines, 'pread64')} bytes were read`)
  const written = bytesOf(lines, 'write') + bytesOf(lines, 'writev')
  t.ok(written < 20_000, `${written} bytes were written`)
})

t.test('a small blob does not', async t => {
  const { edge, fetch } = await edgeWith(t)
  const trace = await straceProcess(edge.pid, { calls: 'sendfile' })
  t.equal((await fetch(small)).bodyBytes, small.sizeBytes)
  t.same(sendfiles(await trace.stop()), [])
})

/** It says so, and every byte is right. */
async function sendsPlainly(
  t: Tap,
  options: Pick<EdgeOptions, 'env' | 'main'>,
  plainBecause: string,
): Promise<void> {
  const { edge, fetch } = await edgeWith(t, options)
  const serving = await edge.untilLogged(line => line.msg === 'serving')
  t.match(serving, { sending: 'plain', plainBecause })
  const trace = await straceProcess(edge.pid, { calls: 'sendfile' })
  const answer = await fetch(big)
  t.equal(Buffer.compare(answer.body, big.bytes()), 0)
  t.same(sendfiles(await trace.stop()), [])
}

t.test('ENTREPOT_NATIVE=off sends every byte the plain way, and says so', t =>
  sendsPlainly(t, { env: { ENTREPOT_NATIVE: 'off' } }, 'switched off'),
)

t.test('without the native sender every byte goes the plain way, and it says why', async t => {
  // Nothing native stands beside this build.
  const place = join(t.testdir({ 'package.json': PACKAGE }), 'dist')
  await promisify(execFile)(process.execPath, [join(PROJECT, 'scripts', 'build.mjs'), place])
  await sendsPlainly(t, { main: join(place, 'main.js') }, 'not built')
})

t.test('a file system that knows no sendfile costs nothing but speed', async t => {
  const { edge, fetch } = await edgeWith(t)
  for (const inject of ['sendfile:error=EINVAL', 'sendfile:error=ENOSYS:when=2+']) {
    const trace = await straceProcess(edge.pid, { calls: 'sendfile', inject })
    const answer = await fetch(big)
    const failed = sendfiles(await trace.stop()).filter(line => line.includes('INJECTED'))
    t.ok(failed.length > 0, inject)
    t.equal(answer.complete, true, inject)
    t.equal(Buffer.compare(answer.body, big.bytes()), 0, inject)
  }
})

t.test(
  'R231, R747: what the kernel cannot read while a blob is sent is read once more, and whole',
  async t => {
    const { edge, fetch } = await edgeWith(t)
    const trace = await straceProcess(edge.pid, {
      calls: 'sendfile',
      inject: 'sendfile:error=EIO:when=1+',
    })
    const answer = await fetch(big)
    await trace.stop()
    t.match(answer, { status: 200, complete: true })
    t.ok(answer.body.equals(big.bytes()))
    t.equal((await fetch(big)).complete, true)
  },
)
