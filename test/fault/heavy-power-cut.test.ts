// Goal: what was acknowledged survives a power cut (R02), also one that takes the catalog along
// (R35): no pushed manifest, blob, tag or queue entry is lost, nothing that was deleted comes back,
// no wrong byte is kept. Method: the data directory lies on an ext4 image that the kernel shuts
// down under the stopped process after a seeded number of acknowledgements, with pushes under way;
// then the process is killed, the image mounted again and the process started on it. Every
// acknowledgement so far is asked for. The same under `eatmydata`, where fsync does nothing, must
// lose some.
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { mountCutDisk } from '../kit/disk/cut-disk.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { judge } from '../kit/judges/oracle.ts'
import { PushRecord, pushForever } from '../kit/clients/push-record.ts'
import { createRandom, seedOf } from '../kit/seeded.ts'

/** `npm run test:fault -- --cuts 200` for a longer run. */
const CUTS = Number(process.env['CUTS'] ?? '20')
/**
 * Without fsync nearly every cut loses something; this many that lose nothing would be a broken
 * control.
 */
const CONTROL_CUTS_MAX = 5
const WRITERS = 4
/** How often a run looks at everything. */
const LOOKS = 20
const DISK_MIB = 600
const ACKNOWLEDGEMENTS_MAX = 120
/** Where Debian puts it. */
const EATMYDATA = '/usr/lib/x86_64-linux-gnu/libeatmydata.so'
/** A push is answered within a second; a round takes some three. */
const ROUND_TIMEOUT_MS = 30_000

/** An upstream that is never there, so that pushes for it wait in the queue. */
const QUEUED = {
  upstreams: { 'registry.test': { url: 'http://127.0.0.1:9', http: true } },
  config: {
    default: 'localhost',
    repositories: [{ match: 'registry.test/**', push: 'queue', delete: true }],
    // The image is small: the reserve for everything else is not to decide the test.
    storage: { maxsize: '100%' },
  },
}

t.setTimeout((2 * CUTS + CONTROL_CUTS_MAX) * ROUND_TIMEOUT_MS)

t.test(`R02: ${CUTS} power cuts lose nothing that was acknowledged`, async t => {
  const { lost, wrong, acknowledged } = await cutPower(t, { cuts: CUTS, env: {} })
  t.comment(
    `${CUTS} cuts: ${acknowledged} acknowledged, ${lost.length} lost, ${wrong.length} wrong`,
  )
  t.same(lost, [], 'every acknowledged push is there')
  t.same(wrong, [], 'no blob has wrong bytes')
  t.ok(acknowledged >= CUTS, 'pushes were acknowledged in between')
})

t.test(
  `R35: ${CUTS} power cuts that take the catalog, too, lose and bring back nothing`,
  async t => {
    const { lost, wrong, acknowledged } = await cutPower(t, {
      cuts: CUTS,
      env: {},
      losesCatalog: true,
    })
    t.comment(`${CUTS} cuts: ${acknowledged} acknowledged, ${lost.length} lost`)
    t.same(lost, [], 'every acknowledged push is there, and nothing that was deleted')
    t.same(wrong, [], 'no blob has wrong bytes')
  },
)

t.test('R02: without fsync the same cuts lose acknowledged pushes', async t => {
  t.ok(existsSync(EATMYDATA), 'eatmydata is installed')
  const env = { LD_PRELOAD: EATMYDATA }
  const { lost, wrong, acknowledged } = await cutPower(t, {
    cuts: CONTROL_CUTS_MAX,
    env,
  })
  t.comment(`control: ${acknowledged} acknowledged, ${lost.length} lost, ${wrong.length} wrong`)
  t.ok(lost.length > 0, 'the control loses some, so the test can see losses')
})

interface Outcome {
  readonly lost: readonly string[]
  readonly wrong: readonly string[]
  readonly acknowledged: number
}

interface CutOptions {
  readonly cuts: number
  readonly env: Record<string, string>
  /** After each cut, before the start. */
  readonly losesCatalog?: boolean
}

/**
 * After every cut of a short run. In a longer one not after each: what is lost stays lost, and
 * everything is asked for every time.
 */
function isLookedAt(cut: number, cuts: number): boolean {
  return (cut + 1) % Math.ceil(cuts / LOOKS) === 0 || cut + 1 === cuts
}

async function cutPower(t: Test, options: CutOptions): Promise<Outcome> {
  const seed = seedOf(process.env)
  t.comment(`seed ${seed}`)
  const random = createRandom(seed)
  const disk = await mountCutDisk(DISK_MIB)
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-cutting-'))
  const storage = { rootdirectory: disk.path, ...QUEUED.config.storage }
  const edge = await startEdge({
    ...QUEUED,
    directory,
    dataDirectory: disk.path,
    env: options.env,
    config: { ...QUEUED.config, storage },
  })
  t.teardown(async () => {
    if (edge.alive) await edge.kill()
    await disk.unmount()
    await rm(directory, { recursive: true, force: true })
  })
  const record = new PushRecord()
  let lost: readonly string[] = []
  let wrong: readonly string[] = []
  for (let cut = 0; cut < options.cuts; cut += 1) {
    const enough = record.count + 1 + random.below(ACKNOWLEDGEMENTS_MAX)
    const stop = pushForever(edge.url, { record, writers: WRITERS, random })
    await record.reaches(enough)
    // Stopped first, so that no acknowledgement leaves it after the power has.
    process.kill(edge.pid, 'SIGSTOP')
    await disk.cut()
    await edge.kill()
    await stop()
    await disk.comeBack()
    if (options.losesCatalog === true) {
      for (const suffix of ['', '-wal', '-shm'])
        await rm(join(disk.path, `catalog.db${suffix}`), { force: true })
      record.catalogLost()
    }
    const failure = await edge.restart().then(
      () => undefined,
      (error: Error) => error,
    )
    if (failure !== undefined) lost = [`it does not start again: ${failure.message}`]
    else if (isLookedAt(cut, options.cuts)) {
      lost = await record.findLost(edge)
      wrong = (await judge(disk.path)).wrong
    }
    if (lost.length + wrong.length > 0) break
  }
  return { lost, wrong, acknowledged: record.count }
}
