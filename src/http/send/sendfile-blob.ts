// A range of a blob by sendfile: as far as its file may be sent, again and again, until the range
// has ended or its bytes come another way. The connection is node's before and after; in between
// nothing of node's may be under way on it.
import type { ByteRange } from '../../oci/range.ts'
import type { BlobAnswer, BlobFile, Sendable } from '../../registry/answers.ts'
import type { ClientFlow } from './client-flow.ts'
import type { Exchange } from '../exchange.ts'
import { type FileSending, type Sendfile, SendfileError } from './sendfile.ts'
import type { StalledSendings } from './stalled-sendings.ts'

/** The file of one answer on its connection. MUST be closed once. */
export interface FileWire {
  /**
   * Resolves once bytes of `range` can be sent, and its file be read: what fails until then can
   * still be told as an error.
   */
  ready(range: ByteRange): Promise<unknown>
  /**
   * The head must be written; it goes out with the first bytes, if there are any. Resolves to the
   * first position that is not sent: behind the range, or where `BlobAnswer.read` has to go on.
   * @throws what the blob's reader throws; SendfileError `file`, and `client` when the connection
   * is gone and was ended
   */
  send(range: ByteRange): Promise<number>
  close(): void
}

export interface FileWireDeps {
  readonly exchange: Exchange
  readonly flow: ClientFlow
  readonly sendfile: Sendfile | undefined
  readonly stalls: StalledSendings
  /** Sends bytes by node; resolves when more may be given. */
  readonly write: (bytes: Uint8Array) => Promise<void>
}

/** Undefined when this answer cannot go this way. */
export function openFileWire(blob: BlobAnswer, deps: FileWireDeps): FileWire | undefined {
  const { exchange, flow, sendfile, stalls, write } = deps
  const { response, request } = exchange
  const { file } = blob
  if (sendfile === undefined || file === undefined || response.socket !== request.socket) return
  const sending = sendfile.open(request.socket, file.descriptor)
  if (sending === undefined) return
  // What is left to send must not go out on a connection that was given up.
  const leave = () => sending.close()
  flow.signal.addEventListener('abort', leave)
  exchange.record.takenBytes = () => (sending.isBusy ? sending.sentBytes : undefined)
  const unwatch = stalls.watch(sending, () => response.destroy())
  let told: Told | undefined
  // Bytes in it would stay for as long as a slow client takes.
  const takeTold = () => {
    const taken = told
    told = undefined
    return taken
  }
  return {
    async ready(range) {
      told = undefined
      told = await readable(file, range, flow.signal)
    },
    send: range => sendRange(sending, range, { exchange, file, flow, write, takeTold }),
    close() {
      unwatch()
      exchange.record.takenBytes = undefined
      flow.signal.removeEventListener('abort', leave)
      sending.close()
    },
  }
}

async function readable(
  file: BlobFile,
  { first, last }: ByteRange,
  signal: AbortSignal,
): Promise<Told> {
  const sendable = await file.until(first, last, signal)
  if (typeof sendable === 'number' && file.isProven?.(first) !== true)
    await file.read(Buffer.allocUnsafe(1), first)
  return { first, last, sendable }
}

/** What `until` said. */
interface Told extends ByteRange {
  readonly sendable: Sendable
}

interface SendContext extends Pick<FileWireDeps, 'exchange' | 'flow' | 'write'> {
  readonly file: BlobFile
  /** What `ready` heard, once: so that it is not asked for twice. */
  readonly takeTold: () => Told | undefined
}

async function sendRange(
  sending: FileSending,
  { first, last }: ByteRange,
  { exchange, file, flow, write, takeTold }: SendContext,
): Promise<number> {
  const { response, record } = exchange
  let position = first
  let known = takeTold()
  if (known?.first !== first || known.last !== last) known = undefined
  while (position <= last) {
    const { sendable } = known ?? { sendable: await file.until(position, last, flow.signal) }
    known = undefined
    if (sendable === undefined) return position
    if (typeof sendable === 'object') {
      await write(sendable)
      position += sendable.length
      continue
    }
    response.flushHeaders()
    await flow.flushed()
    const before = sending.sentBytes
    try {
      await sending.send(position, sendable - position)
    } catch (error) {
      if (!(error instanceof SendfileError)) throw error
      if (error.failure === 'file') throw error
      if (error.failure === 'client') {
        // Node may hear of it later, or never.
        response.destroy()
        throw error
      }
      return position + sending.sentBytes - before
    } finally {
      record.sentBytes += sending.sentBytes - before
    }
    position = sendable
  }
  return position
}
