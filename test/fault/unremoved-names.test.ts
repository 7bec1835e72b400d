// Goal: a file that a failed push could not even take away again counts after the next start.
// Method: an edge on an ext4, whose directory for that digest becomes a link to one that takes
// files and lets none go; then an orderly end, and another edge.
import { execFile } from 'node:child_process'
import { mkdir, readdir, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { NO_UPSTREAM, pushBlob } from '../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../kit/edge.ts'
import type { LogLine } from '../kit/worlds/http-app.ts'
import { mountSmallDisk } from '../kit/disk/small-disk.ts'
import { blobPath } from '../kit/disk/store-directory.ts'

const run = promisify(execFile)
/** Room for a catalog with its log, and a few blobs. */
const DISK_MIB = 96

t.test('R800: a start looks for what a failed push could not take away', async t => {
  const disk = await mountSmallDisk(DISK_MIB, 'ext4')
  t.teardown(() => disk.unmount())
  const first = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory: disk.path })
  // A new catalog has files adopted as well.
  await adoption(first)
  const blob = patternBlob('stays', 5_000)
  const directory = dirname(blobPath(first.dataDirectory, blob.digest))
  const elsewhere = join(first.dataDirectory, 'elsewhere')
  await mkdir(elsewhere)
  await rename(directory, `${directory}-`)
  await symlink(elsewhere, directory)
  await run('chattr', ['+a', elsewhere])
  const pushed = await first.settle(pushBlob(first, 'localhost/app', blob.bytes()))
  t.equal(pushed.status, 503)
  t.equal((await readdir(elsewhere)).length, 1)
  await run('chattr', ['-a', elsewhere])
  await rm(directory)
  await rm(`${directory}-`, { recursive: true })
  await rename(elsewhere, directory)
  await first.stop()
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM, directory: disk.path })
  t.match(await adoption(edge), { files: 1, bytes: 5_000 })
})

/** What an edge says of it, once it has; the test's time limit ends this. */
async function adoption(edge: TestEdge): Promise<LogLine> {
  for (;;) {
    const said = edge.lines().find(({ msg }) => msg === 'files without rows were adopted')
    if (said !== undefined) return said
    // It is beside whoever asks.
    await edge.get('/v2/')
  }
}
