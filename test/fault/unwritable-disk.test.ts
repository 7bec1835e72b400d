// Goal: whoever looks at an edge sees that its disk cannot be written, why, and since when (R773).
// Method: the edge in process on a small file system that is filled up, whose blobs become
// read-only, or that is told of an error, which take root and Linux; status and metrics are asked
// as operators do.
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { runCli } from '../kit/cli.ts'
import { mountSmallDisk } from '../kit/disk/small-disk.ts'
import { startTestEdge } from '../kit/edge.ts'
import { NO_UPSTREAM, pushBlob } from '../kit/worlds/edge-push.ts'

const run = promisify(execFile)
const DISK_MIB = 64
const MINUTE_MS = 60_000

/** At most so long what the kernel says of a mount is believed. */
const LOOKED_AGAIN_MS = 2_000

async function start(t: Test, type: 'tmpfs' | 'ext4' = 'tmpfs') {
  const disk = await mountSmallDisk(DISK_MIB, type)
  t.teardown(() => disk.unmount())
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory: disk.path })
  const told = async () => {
    const { stdout } = await runCli(['status', '--socket', edge.socket])
    const metrics = await (await fetch(`${edge.adminUrl}/metrics`)).text()
    const metric = metrics.match(/^entrepot_storage_unwritable_seconds (\S+)$/m)
    return { line: /^disk .*$/m.exec(stdout)?.[0], seconds: Number(metric?.[1]) }
  }
  return { disk, edge, told }
}

t.test('R773: status and metrics tell of a full disk, and of nothing once it has room', async t => {
  const { disk, edge, told } = await start(t)
  t.same(await told(), { line: undefined, seconds: 0 })
  await disk.fill()
  t.match(await told(), { line: /^disk +cannot be written, seen just now: it is full/, seconds: 1 })
  await edge.pass(5 * MINUTE_MS)
  const later = await told()
  t.match(later.line, /^disk +cannot be written, seen 5 min ago: it is full/)
  t.ok(later.seconds >= 300, `${later.seconds}`)
  await disk.relieve()
  t.same(await told(), { line: undefined, seconds: 0 })
})

t.test('R773: and of one that is read-only', async t => {
  const { edge, told } = await start(t)
  const blobs = join(edge.dataDirectory, 'blobs')
  await run('mount', ['--bind', blobs, blobs])
  t.teardown(() => run('umount', ['-l', blobs]).catch(() => {}))
  await run('mount', ['-o', 'remount,bind,ro', blobs])
  t.match(await told(), {
    line: /^disk +cannot be written, seen just now: it is read-only/,
    seconds: 1,
  })
  await run('umount', ['-l', blobs])
  t.same(await told(), { line: undefined, seconds: 0 })
})

t.test('R765: and of one that stopped taking writes of itself, after an error', async t => {
  const { disk, edge, told } = await start(t, 'ext4')
  await run('mount', ['-o', 'remount,errors=remount-ro', disk.path])
  t.equal((await pushBlob(edge, 'localhost/app', Buffer.from('before'))).status, 201)
  t.same(await told(), { line: undefined, seconds: 0 })
  const { stdout } = await run('findmnt', ['--noheadings', '--output', 'SOURCE', disk.path])
  const device = basename(stdout.trim())
  writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, 'as if it had found one')
  await edge.pass(LOOKED_AGAIN_MS)
  t.match(await told(), {
    line: /^disk +cannot be written, seen just now: it is read-only/,
    seconds: 1,
  })
  const begun = edge.send('POST', '/v2/localhost/app/blobs/uploads/')
  t.equal((await edge.settle(begun)).status, 503)
})
