// Text that comes as bytes, a line at a time.
import { BackupError } from './backup-error.ts'

const LINE_FEED = 0x0a

/** Without their ends. @throws BackupError where the last one has none; what the pieces throw */
export async function* linesOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0)
  for await (const piece of pieces) {
    const bytes = Buffer.concat([rest, piece])
    let from = 0
    for (let feed = bytes.indexOf(LINE_FEED); feed !== -1; feed = bytes.indexOf(LINE_FEED, from)) {
      yield bytes.toString('utf8', from, feed)
      from = feed + 1
    }
    rest = bytes.subarray(from)
  }
  if (rest.length > 0) throw new BackupError('it ends in the middle of a line')
}
