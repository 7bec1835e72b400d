// Goal: small chunks cost few writes, none of their bytes is lost, doubled or late, and a failing
// disk is reported once it is known. Method: a disk that is an array and finishes each write when
// the test says so.
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { writeFully } from '../../../src/store/filesystem/disk.ts'
import {
  FOLLOWED,
  GATHERED,
  WriteBuffer,
} from '../../../src/store/filesystem/growing/write-buffer.ts'

const RECORD = Buffer.alloc(16 * 1024, 'a TLS record ')
const PER_BUFFER = FOLLOWED.bufferBytes / RECORD.length

/** Remembers what is written; each write ends by `finish`, or at once when `isFast`. */
function slowDisk(isFast = false) {
  const writes: number[] = []
  const written: Buffer[] = []
  const waiting: (() => void)[] = []
  let wrote = Promise.withResolvers<void>()
  return {
    writes,
    /** Resolves when so many writes have begun. */
    async until(count: number) {
      while (writes.length < count) {
        wrote = Promise.withResolvers()
        await wrote.promise
      }
    },
    bytes: () => Buffer.concat(written),
    finish: () => waiting.shift()?.(),
    write: async (bytes: Uint8Array): Promise<number> => {
      writes.push(bytes.length)
      wrote.resolve()
      if (!isFast) await new Promise<void>(resolve => waiting.push(resolve))
      // A disk may read the memory as late as this.
      written.push(Buffer.from(bytes))
      return bytes.length
    },
  }
}

t.test('the first chunk goes at once; those that come soon after are one write', async t => {
  const disk = slowDisk(true)
  const buffer = new WriteBuffer(disk.write, FOLLOWED)
  await buffer.add(RECORD)
  t.same(disk.writes, [RECORD.length])
  for (let count = 0; count < 4; count += 1) await buffer.add(RECORD)
  t.same(disk.writes, [RECORD.length])
  await disk.until(2)
  t.same(disk.writes, [RECORD.length, 4 * RECORD.length])
})

t.test('a chunk goes to disk without another call, however long the next one takes', async t => {
  const disk = slowDisk(true)
  const buffer = new WriteBuffer(disk.write, FOLLOWED)
  await buffer.add(Buffer.from('x'))
  await buffer.add(Buffer.from('y'))
  await disk.until(2)
  await setImmediate()
  t.equal(disk.bytes().toString(), 'xy')
})

t.test('chunks that come while a write runs are one write after it', async t => {
  const disk = slowDisk()
  const buffer = new WriteBuffer(disk.write, FOLLOWED)
  await buffer.add(RECORD)
  await setImmediate()
  const later = Buffer.alloc(RECORD.length, 'a later record ')
  for (let count = 0; count < 5; count += 1) await buffer.add(later)
  await setImmediate()
  t.same(disk.writes, [RECORD.length])
  disk.finish()
  await disk.until(2)
  t.same(disk.writes, [RECORD.length, 5 * RECORD.length])
  disk.finish()
  await buffer.flush()
  t.ok(disk.bytes().equals(Buffer.concat([RECORD, later, later, later, later, later])))
})

t.test('when both buffers are full, add waits for the disk', async t => {
  const disk = slowDisk()
  const buffer = new WriteBuffer(disk.write, FOLLOWED)
  for (let count = 0; count < PER_BUFFER - 1; count += 1) await buffer.add(RECORD)
  let isAdded = false
  const adding = buffer.add(RECORD).then(() => {
    isAdded = true
  })
  await setImmediate()
  t.equal(isAdded, false)
  t.same(disk.writes, [RECORD.length])
  disk.finish()
  await adding
  t.same(disk.writes, [RECORD.length, FOLLOWED.bufferBytes - RECORD.length])
  disk.finish()
  await buffer.flush()
})

t.test('full buffers end at multiples of their size in the file, wherever it goes on', async t => {
  for (const position of [0, 63_000, 3 * GATHERED.bufferBytes + 1]) {
    const ends: number[] = []
    let end = position
    const buffer = new WriteBuffer(
      async bytes => {
        end += bytes.length
        ends.push(end)
        return bytes.length
      },
      GATHERED,
      position,
    )
    for (let count = 0; count < 40; count += 1) await buffer.add(Buffer.alloc(61_000))
    await buffer.write(Buffer.alloc(GATHERED.bufferBytes + 5))
    buffer.moveOn(70_001)
    end += 70_001
    for (let count = 0; count < 20; count += 1) await buffer.add(Buffer.alloc(61_000))
    await buffer.flush()
    const whole = 60 * 61_000 + GATHERED.bufferBytes + 5 + 70_001
    t.equal(ends.at(-1), position + whole)
    const odd = ends.filter(each => each % GATHERED.bufferBytes !== 0)
    // What was gathered before the large chunk, the large chunk, and the rest.
    t.equal(odd.length, 3)
    t.ok(ends.length > 6)
  }
})

t.test('who adds while another one waits for the disk waits behind it', async t => {
  const disk = slowDisk()
  const buffer = new WriteBuffer(disk.write, FOLLOWED)
  for (let count = 0; count < PER_BUFFER - 1; count += 1) await buffer.add(RECORD)
  // The first fills the buffer to its end, and has nothing left to add when it comes to wait.
  const both = [buffer.add(RECORD), buffer.add(Buffer.alloc(RECORD.length, 'the second '))]
  disk.finish()
  await Promise.all(both)
  const flushed = buffer.flush()
  for (const count of [2, 3]) {
    await disk.until(count)
    disk.finish()
  }
  await flushed
  const whole = Buffer.alloc(FOLLOWED.bufferBytes, RECORD)
  t.ok(disk.bytes().subarray(0, FOLLOWED.bufferBytes).equals(whole))
  const rest = disk.bytes().subarray(FOLLOWED.bufferBytes)
  t.ok(rest.equals(Buffer.alloc(RECORD.length, 'the second ')))
})

t.test('what nobody follows is written when the buffer is full or flushed', async t => {
  const disk = slowDisk(true)
  const buffer = new WriteBuffer(disk.write, GATHERED)
  const perBuffer = GATHERED.bufferBytes / RECORD.length
  for (let count = 0; count < perBuffer - 1; count += 1) await buffer.add(RECORD)
  await setImmediate()
  t.same(disk.writes, [])
  await buffer.add(RECORD)
  await buffer.add(RECORD)
  await setImmediate()
  t.same(disk.writes, [GATHERED.bufferBytes])
  await buffer.flush()
  t.same(disk.writes, [GATHERED.bufferBytes, RECORD.length])
  await buffer.add(Buffer.from('x'))
  await buffer.flush()
  t.equal(disk.bytes().length, GATHERED.bufferBytes + RECORD.length + 1)
})

t.test('flush waits for a chunk that goes past the buffer, from when it is given', async t => {
  const large = Buffer.alloc(FOLLOWED.bufferBytes, 'large ')
  const ways = {
    add: (buffer: WriteBuffer) => buffer.add(large),
    write: (buffer: WriteBuffer) => buffer.write(RECORD),
  }
  for (const [way, give] of Object.entries(ways)) {
    const disk = slowDisk()
    const buffer = new WriteBuffer(disk.write, FOLLOWED)
    let isFlushed = false
    const giving = give(buffer)
    const flushing = buffer.flush().then(() => (isFlushed = true))
    await disk.until(1)
    await setImmediate()
    t.equal(isFlushed, false, way)
    disk.finish()
    await Promise.all([giving, flushing])
    t.equal(disk.bytes().length, disk.writes[0])
  }
})

t.test('a gigabyte in small chunks costs four thousand writes at most', async t => {
  let writes = 0
  let bytesWritten = 0
  const buffer = new WriteBuffer(async bytes => {
    writes += 1
    bytesWritten += bytes.length
    return bytes.length
  }, FOLLOWED)
  for (let count = 0; count < 65_536; count += 1) await buffer.add(RECORD)
  await buffer.flush()
  t.equal(bytesWritten, 1024 ** 3)
  // Buffers that are full, and the first chunk, which goes at once.
  t.ok(writes <= 4096 + 1, `${writes} writes`)
})

t.test('R06: short writes are continued, in order', async t => {
  const written: number[] = []
  const buffer = new WriteBuffer(async bytes => {
    const take = Math.min(bytes.length, 1 + (written.length % 7))
    written.push(...bytes.subarray(0, take))
    return take
  }, FOLLOWED)
  const bytes = Buffer.from('every one of these bytes, once and in order')
  for (const size of [1, 2, 5, 11, 100]) {
    await buffer.add(bytes.subarray(0, size))
    await buffer.write(bytes)
  }
  await buffer.flush()
  const wanted = [1, 2, 5, 11, 100].map(size => Buffer.concat([bytes.subarray(0, size), bytes]))
  t.equal(Buffer.from(written).toString(), Buffer.concat(wanted).toString())
})

t.test('a failed write is thrown by every later call, and nothing more is written', async t => {
  let writes = 0
  const buffer = new WriteBuffer(async () => {
    writes += 1
    throw new Error('disk full')
  }, FOLLOWED)
  await buffer.add(RECORD)
  await setImmediate()
  await t.rejects(buffer.add(RECORD), { message: 'disk full' })
  await t.rejects(buffer.write(RECORD), { message: 'disk full' })
  await t.rejects(buffer.flush(), { message: 'disk full' })
  await setImmediate()
  t.equal(writes, 1)
})

t.test('R06: writeFully goes on after short writes, and ends when nothing is written', async t => {
  const bytes = Buffer.from('every one of these bytes')
  const disk = Buffer.alloc(bytes.length + 2)
  const write = async (from: Uint8Array, offset: number, length: number, position: number) => {
    const bytesWritten = Math.min(length, 5)
    disk.set(from.subarray(offset, offset + bytesWritten), position)
    return { bytesWritten }
  }
  await writeFully({ write }, bytes, 2)
  t.equal(disk.toString(), `\0\0${bytes.toString()}`)
  const nothing = { write: async () => ({ bytesWritten: 0 }) }
  await t.rejects(writeFully(nothing, bytes), { code: 'EIO' })
})
