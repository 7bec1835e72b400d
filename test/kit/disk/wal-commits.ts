// Transactions that were committed to a SQLite database since its log began anew, counted from
// outside: whoever writes it need not help (https://www.sqlite.org/fileformat2.html, "WAL").
import { existsSync, readFileSync } from 'node:fs'

const HEADER_BYTES = 32
const FRAME_BYTES = 24
const PAGE_SIZE_AT = 8
/** Two numbers that a log has until it begins anew; frames of the one before have others. */
const SALTS = { inHeader: 16, inFrame: 8, bytes: 8 }
/** Of the database in pages, in the last frame of a transaction; 0 in the others. */
const SIZE_AT = 4

/** `file`: the database. */
export function countCommits(file: string): number {
  const wal = existsSync(`${file}-wal`) ? readFileSync(`${file}-wal`) : Buffer.alloc(0)
  if (wal.length < HEADER_BYTES) return 0
  const salts = wal.subarray(SALTS.inHeader, SALTS.inHeader + SALTS.bytes)
  const bytes = FRAME_BYTES + wal.readUInt32BE(PAGE_SIZE_AT)
  let commits = 0
  for (let at = HEADER_BYTES; at + bytes <= wal.length; at += bytes) {
    const frame = wal.subarray(at, at + FRAME_BYTES)
    if (!frame.subarray(SALTS.inFrame, SALTS.inFrame + SALTS.bytes).equals(salts)) break
    if (frame.readUInt32BE(SIZE_AT) !== 0) commits += 1
  }
  return commits
}
