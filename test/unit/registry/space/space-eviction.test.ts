// Goal: room is made before bytes come, in bounded time, never for what cannot fit or is only
// announced, and never of what is kept for pushes. Method: the ledger over numbers for a disk, with
// content that leaves when it is told to.
import t from 'tap'
import { Haste } from '../../../../src/async/haste.ts'
import type { SpaceClaim } from '../../../../src/registry/space/claim.ts'
import type { RoomByEviction } from '../../../../src/registry/space/eviction.ts'
import { RoomAhead } from '../../../../src/registry/space/room-ahead.ts'
import { BLOCK_BYTES } from '../../../../src/registry/ports/blob-store.ts'
import { rejection } from '../../../kit/engine.ts'
import { settle } from '../../../kit/settle.ts'
import { createManualClock } from '../../../kit/manual-clock.ts'
import { limitsOf } from '../../../kit/storage-limits.ts'
import { diskOf, ledgerOver } from '../../../kit/ledger.ts'

const MiB = 1024 * 1024
const LIMIT = 100 * MiB
/** Two in a hundred, in whole blocks. */
const RESERVE = 2 * MiB
const CHUNK = 64 * 1024
/** A sixty-fourth of the limit. */
const PIECE = LIMIT / 64

interface WorldOptions {
  readonly usedBytes?: number
  /** Of that, what may leave. */
  readonly evictableBytes?: number
  readonly makeRoom?: RoomByEviction['makeRoom']
  readonly couldMake?: RoomByEviction['couldMake']
  /** What seems to be able to leave does not, as is found out when it is to. */
  readonly vain?: boolean
  /** Whatever the catalog counts, so much may really leave. */
  readonly surelyBytes?: number
  readonly limits?: Parameters<typeof limitsOf>
  readonly freeBytes?: number
  /** Of 10,000; each takes a block. */
  readonly freeFiles?: number
}

function createWorld(options: WorldOptions = {}) {
  const clock = createManualClock()
  const haste = new Haste()
  const asked: number[] = []
  /** Of each time that something is asked to leave: does anybody wait? */
  const hasty: boolean[] = []
  const askedFiles: number[] = []
  let { usedBytes = LIMIT, evictableBytes = LIMIT } = options
  let mostBytes = 0
  let { freeFiles } = options
  let underWay: Promise<void> | undefined
  let limits = limitsOf(...(options.limits ?? [LIMIT]))
  const disk = diskOf(() => ({
    freeBytes: (options.freeBytes ?? 1_000 * MiB) - usedBytes,
    totalBytes: 1_000 * MiB,
    ...(freeFiles === undefined ? {} : { files: { free: freeFiles, total: 10_000 } }),
  }))
  const ledger = ledgerOver(disk, {
    clock,
    haste,
    limits: () => limits,
    usedBytes: async () => usedBytes,
    eviction: {
      get underWay() {
        return underWay
      },
      makeRoom: async (bytes, signal) => {
        asked.push(bytes)
        hasty.push(haste.isOn)
        if (options.makeRoom !== undefined) return options.makeRoom(bytes, signal)
        if (options.vain === true) evictableBytes = 0
        const freed = Math.min(bytes, evictableBytes)
        usedBytes -= freed
        evictableBytes -= freed
        return freed
      },
      makeFiles: async ({ count, bytesEach }) => {
        askedFiles.push(count)
        hasty.push(haste.isOn)
        const freed = Math.min(count * bytesEach, evictableBytes)
        usedBytes -= freed
        evictableBytes -= freed
        if (freeFiles !== undefined) freeFiles += freed / bytesEach
        return freed
      },
      evictableBytes: async () => evictableBytes,
      refused: () => {},
      couldMake:
        options.couldMake ?? (async bytes => bytes <= (options.surelyBytes ?? evictableBytes)),
    },
  })
  const promised: number[] = []
  /** Announces so much; what it resolves to brings some of it. */
  const admit = async (bytes: number, from: SpaceClaim['from'] = 'upstream') => {
    let comeBytes = 0
    const room = new RoomAhead(ledger, { from })
    room.begin({ hereBytes: 0, wholeBytes: bytes })
    const claim = {
      from,
      missingBytes: () => bytes - comeBytes,
      wholeBytes: () => bytes,
      roomBytes: () => room.roomBytes(comeBytes),
    }
    await ledger.admit(claim, foundBytes => {
      room.found(foundBytes)
      ledger.count(claim)
      promised.push(bytes)
    })
    return async (comingBytes: number) => {
      for (let at = 0; at < comingBytes; at += CHUNK) {
        const chunkBytes = Math.min(CHUNK, comingBytes - at)
        await room.taking(chunkBytes)
        comeBytes += chunkBytes
        mostBytes = Math.max(mostBytes, usedBytes + comeBytes)
      }
    }
  }
  /** Room for so much that is about to be written. */
  const make = (bytes: number, from: SpaceClaim['from'] = 'upstream') =>
    ledger.make({ from, bytes }, () => {
      usedBytes += bytes
    })
  return {
    ledger,
    clock,
    admit,
    make,
    asked,
    askedFiles,
    haste,
    hasty,
    promised,
    /** So many files are let go; they are gone once what this returns is called. */
    letGo: (files: number) => {
      const gone = Promise.withResolvers<void>()
      underWay = gone.promise
      evictableBytes -= files * BLOCK_BYTES
      return () => {
        if (freeFiles !== undefined) freeFiles += files
        underWay = undefined
        gone.resolve()
      }
    },
    limit: (...given: Parameters<typeof limitsOf>) => {
      limits = limitsOf(...given)
    },
    get usedBytes() {
      return usedBytes
    },
    /** With what one that brings some has brought. */
    get mostBytes() {
      return mostBytes
    },
  }
}

t.test('R330: content leaves for as much as is missing, before it is written', async t => {
  const world = createWorld({ usedBytes: LIMIT - RESERVE - 4 * MiB })
  await world.make(10 * MiB)
  t.same(world.asked, [6 * MiB])
  t.equal(world.usedBytes, LIMIT - RESERVE)
})

t.test('R386: nothing leaves for a length that is only said, however often', async t => {
  const world = createWorld({ usedBytes: LIMIT - RESERVE })
  await world.admit(80 * MiB)
  for (const from of ['client', 'upstream'] as const)
    await world.admit(9 * MiB, from).catch(() => undefined)
  t.same(world.asked, [])
  t.equal(await world.ledger.trim(new AbortController().signal), 0, 'nor by itself')
})

t.test('R386: content leaves as bytes come, a piece ahead of them', async t => {
  for (const from of ['client', 'upstream'] as const) {
    const world = createWorld({ usedBytes: LIMIT - RESERVE })
    const bring = await world.admit(80 * MiB, from)
    await bring(MiB)
    const leftBytes = world.asked.reduce((sum, bytes) => sum + bytes, 0)
    t.ok(leftBytes <= MiB + PIECE, `${leftBytes} bytes left for ${from}`)
    await bring(79 * MiB)
    t.ok(LIMIT - world.usedBytes >= 80 * MiB)
    t.ok(world.mostBytes <= LIMIT, `${world.mostBytes} bytes are within the limit`)
    t.ok(world.asked.length <= (2 * LIMIT) / PIECE, 'not for each chunk')
  }
})

t.test('R386: who brings nothing takes no more than a piece from others', async t => {
  const world = createWorld({ usedBytes: 10 * MiB, evictableBytes: 0 })
  const bring = await world.admit(80 * MiB)
  await bring(CHUNK)
  await world.make(LIMIT - RESERVE - 10 * MiB - PIECE - CHUNK)
  t.match(await rejection(world.make(MiB)), { failure: 'full', isPassing: true })
  t.same(world.asked, [])
})

t.test('R330: what could only be written in part is not begun', async t => {
  const world = createWorld({ usedBytes: LIMIT - RESERVE - 3 * MiB, surelyBytes: 0 })
  t.match(await rejection(world.admit(6 * MiB)), { failure: 'full', isPassing: true })
  await world.admit(3 * MiB)
  t.same(world.asked, [])
})

t.test('R330: nothing leaves for what cannot fit', async t => {
  const world = createWorld({ evictableBytes: 20 * MiB })
  const error = await rejection(world.admit(30 * MiB))
  t.match(error, { failure: 'full', isPassing: false })
  t.same(world.asked, [])
})

t.test('R330: what did not leave when it was to is not said to be on its way', async t => {
  const world = createWorld({ vain: true })
  t.match(await rejection(world.make(3 * MiB, 'client')), {
    failure: 'full',
    isPassing: false,
    message: /^storage\.maxsize is used up/,
  })
  t.same(world.asked, [3 * MiB])
})

t.test('R330: many that begin at once are not promised more than there is', async t => {
  const world = createWorld({ evictableBytes: 50 * MiB })
  const begun = await Promise.allSettled(Array.from({ length: 20 }, () => world.admit(5 * MiB)))
  t.equal(begun.filter(each => each.status === 'fulfilled').length, 9)
  for (const each of begun) if (each.status === 'fulfilled') await each.value(5 * MiB)
  t.ok(world.usedBytes + world.promised.length * 5 * MiB <= LIMIT - RESERVE)
})

t.test('R330: whoever waits for room that does not come is told in time', async t => {
  let stopped: AbortSignal | undefined
  const world = createWorld({
    makeRoom: (_bytes, signal) => {
      stopped = signal
      return new Promise(() => {})
    },
  })
  const refused = [world.make(MiB), world.make(MiB)].map(rejection)
  await world.clock.untilSleeping(3_000)
  await world.clock.advance(3_000)
  t.match(await Promise.all(refused), [{ failure: 'full' }, { failure: 'full' }])
  t.ok(stopped?.aborted, 'and who makes it may stop')
  t.equal(world.asked.length, 1, 'no second wait for who has waited')
})

t.test('R330: whoever is not told in time whether there could be room has none', async t => {
  let stopped: AbortSignal | undefined
  const world = createWorld({
    couldMake: (_bytes, signal) => {
      stopped = signal
      return new Promise(() => {})
    },
  })
  const refused = rejection(world.admit(MiB))
  await world.clock.untilSleeping(3_000)
  await world.clock.advance(3_000)
  t.match(await refused, { failure: 'full' })
  t.ok(stopped?.aborted, 'and nobody looks only for it')
  t.same(world.asked, [])
})

t.test('R331: fills leave the reserve, whatever they announce, and pushes take it', async t => {
  const world = createWorld({ usedBytes: 0, evictableBytes: 0 })
  t.match(await rejection(world.admit(LIMIT)), { failure: 'full' }, 'all of it')
  await world.admit(LIMIT - RESERVE)
  t.match(await rejection(world.admit(1)), { failure: 'full' })
  await world.admit(RESERVE, 'client')
  t.match(await rejection(world.admit(1, 'client')), { failure: 'full' })
})

t.test('R331: content leaves for a push as for a download', async t => {
  const world = createWorld()
  await world.make(3 * MiB, 'client')
  t.same(world.asked, [3 * MiB])
})

t.test('R330, R252: who does not share makes a part of the content leave at most', async t => {
  const world = createWorld()
  t.match(await rejection(world.admit(13 * MiB, 'apart')), { failure: 'full' })
  t.same(world.asked, [], 'beyond its share nothing leaves')
  const bring = await world.admit(10 * MiB, 'apart')
  t.match(await rejection(world.admit(5 * MiB, 'apart')), { failure: 'full' })
  t.same(world.asked, [], 'nor for another one')
  await bring(10 * MiB)
  t.equal(LIMIT - world.usedBytes, 10 * MiB + RESERVE)
  await world.admit(5 * MiB)
  await world.make(5 * MiB)
  t.equal(LIMIT - world.usedBytes, 10 * MiB + RESERVE, 'who shares has what may leave')
})

t.test('R330: what may leave is room to spare', async t => {
  const spare = async (options: WorldOptions) => createWorld(options).ledger.spareBytes()
  t.equal(
    await spare({ usedBytes: LIMIT, evictableBytes: LIMIT }),
    await spare({ usedBytes: 0, evictableBytes: 0 }),
    'a full cache that can be emptied has as much as an empty one',
  )
  t.ok((await spare({ evictableBytes: 0 })) < 0)
  const emptied = createWorld()
  t.equal(await emptied.ledger.fullBecause(), undefined)
  t.match(await createWorld({ evictableBytes: 0 }).ledger.fullBecause(), /maxsize is used up/)
})

t.test('R332: the stricter of two limits counts', async t => {
  // 1,000 MiB in all, and others have taken what is not free.
  const world = createWorld({
    usedBytes: 0,
    evictableBytes: 0,
    freeBytes: 250 * MiB,
    limits: [LIMIT, { minFreeBytes: 200 * MiB }],
  })
  t.match(await rejection(world.admit(50 * MiB - RESERVE + 1)), {
    message: /^the disk has no room/,
    room: { freeBytes: 50 * MiB - RESERVE },
  })
  await world.admit(50 * MiB - RESERVE)
})

t.test('R332: a limit that changes counts from then on', async t => {
  const world = createWorld({ usedBytes: 50 * MiB, evictableBytes: 0 })
  await world.admit(MiB)
  world.limit(50 * MiB)
  t.match(await rejection(world.admit(MiB)), { message: 'storage.maxsize is used up' })
  world.limit(200 * MiB)
  await world.admit(MiB)
})

t.test(
  'R332: what passes a limit leaves down to the low water, by whomever it is passed',
  async t => {
    const never = new AbortController().signal
    const trimmed = async (options: WorldOptions) => createWorld(options).ledger.trim(never)
    t.equal(await trimmed({ usedBytes: LIMIT - RESERVE }), 0, 'as much as fills may take')
    t.equal(await trimmed({ usedBytes: LIMIT - RESERVE + 1 }), 3 * MiB + 1)
    t.equal(await trimmed({ usedBytes: 2 * LIMIT }), 105 * MiB)
    const limits = [LIMIT, { minFreeBytes: 200 * MiB }] as const
    // Of 1,000 MiB: what is not used is free, but for what others have.
    t.equal(await trimmed({ usedBytes: 50 * MiB, freeBytes: 252 * MiB, limits: [...limits] }), 0)
    t.equal(
      await trimmed({ usedBytes: 50 * MiB, freeBytes: 251 * MiB, limits: [...limits] }),
      4 * MiB,
      'others have filled the disk',
    )
  },
)

t.test('R330: when somebody has found no room, more is made than that', async t => {
  const world = createWorld({ usedBytes: LIMIT - RESERVE })
  const never = new AbortController().signal
  await world.make(MiB)
  t.equal(await world.ledger.trim(never), 3 * MiB, 'down to the low water')
  t.equal(await world.ledger.trim(never), 0, 'once')
  t.same(world.asked, [MiB, 3 * MiB])
})

t.test('R764: there is haste for whoever waits for room, and for nobody else', async t => {
  const never = new AbortController().signal
  const world = createWorld({ usedBytes: LIMIT - RESERVE })
  await world.make(MiB)
  t.same(world.hasty.splice(0), [true])
  await world.ledger.trim(never)
  t.same(world.hasty, [false], 'down to the low water')
  const files = createWorld({ usedBytes: MiB, freeFiles: 0 })
  await files.ledger.trim(never)
  t.same(files.hasty, [false])
  await files.make(2 * MiB)
  t.notOk(world.haste.isOn || files.haste.isOn)
})

t.test('R764: there is haste while somebody waits for a run to end, or for a look', async t => {
  const seen: boolean[] = []
  const world = createWorld({
    usedBytes: LIMIT - RESERVE,
    couldMake: async () => {
      await Promise.resolve()
      seen.push(world.haste.isOn)
      return false
    },
  })
  const end = world.letGo(10)
  const refused = rejection(world.admit(20 * MiB))
  await settle()
  t.same(seen, [true])
  t.ok(world.haste.isOn, 'for the end of the run')
  const trimming = world.ledger.trim(new AbortController().signal)
  end()
  t.match(await refused, { failure: 'full' })
  await trimming
  t.notOk(world.haste.isOn)
})

t.test('R332: where nothing can leave, all is looked at once a minute', async t => {
  const world = createWorld({ usedBytes: 2 * LIMIT, makeRoom: async () => 0 })
  const never = new AbortController().signal
  for (let looks = 0; looks < 3; looks += 1) await world.ledger.trim(never)
  t.equal(world.asked.length, 1)
  await world.clock.advance(60_000)
  await world.ledger.trim(never)
  t.equal(world.asked.length, 2)
})

// A tenth of 10,000 stays free for others, and half as many more for pushes.
const FEW_FILES = { limits: [LIMIT, { minFreeBytes: 100 * MiB }] as const, usedBytes: 50 * MiB }

function withFewFiles(freeFiles: number, more: WorldOptions = {}) {
  return createWorld({ ...FEW_FILES, limits: [...FEW_FILES.limits], freeFiles, ...more })
}

t.test('R332: where no more files can be made, content leaves for them', async t => {
  const world = withFewFiles(1_500)
  await (await world.admit(1, 'client'))(1)
  t.same(world.asked, [], 'a push has its own')
  const come = await world.admit(1)
  t.same(world.asked, [], 'nothing leaves for what is only announced')
  await come(1)
  // Two for each that is promised, and for the piece: none is left to fills.
  t.same(world.askedFiles, [6])
  t.same(world.asked, [], 'and no bytes')
  const plenty = withFewFiles(1_502)
  await (await plenty.admit(1))(1)
  t.same(plenty.asked, [])
})

t.test('R332: files that are still going are waited for, and no more leave for them', async t => {
  const world = withFewFiles(0, { evictableBytes: 1_600 * BLOCK_BYTES })
  const gone = world.letGo(1_590)
  const [admitted, made] = [world.admit(1, 'client'), world.make(1, 'client')]
  await new Promise(setImmediate)
  t.same(world.promised, [])
  gone()
  await Promise.all([admitted, made])
  t.same(world.promised, [1])
  t.same(world.askedFiles, [])
})

t.test('R332: nobody waits for ever for files that are still going', async t => {
  const world = withFewFiles(0, { evictableBytes: 1_600 * BLOCK_BYTES })
  world.letGo(1_590)
  const error = rejection(world.admit(1, 'client'))
  await world.clock.advance(60_000)
  t.match(await error, { failure: 'full', message: /no room for more files/ })
})

t.test('R332: nothing leaves for files that others have', async t => {
  const world = withFewFiles(100, { evictableBytes: 100 * BLOCK_BYTES })
  const error = await rejection(world.admit(1))
  t.match(error, { failure: 'full', message: /no room for more files/ })
  t.equal(await world.ledger.trim(new AbortController().signal), 0)
  t.same(world.asked, [])
  t.match(await world.ledger.fullBecause(), /no room for more files/)
  t.ok((await world.ledger.spareBytes()) < 0, 'nothing is fetched ahead')
})

t.test('R332: files are made room for before anybody needs them', async t => {
  const never = new AbortController().signal
  t.equal(await withFewFiles(1_500).ledger.trim(never), 0)
  const world = withFewFiles(1_499)
  t.equal(await world.ledger.trim(never), 501 * BLOCK_BYTES, 'twice as many as are to stay free')
  t.equal(await world.ledger.trim(never), 0)
})
