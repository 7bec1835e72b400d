// A blob's bytes as they are carried out of this edge: read as they are sent, a piece at a time.
import type { Digest } from '../../oci/digest.ts'
import type { RegistryError } from '../../oci/errors.ts'
import type { BlobStore } from '../ports/blob-store.ts'

/** Large enough for the disk, and a thousandth of a second of this thread. */
const PIECE_BYTES = 1024 * 1024

/**
 * A piece is good until the next one is asked for. `gone`: thrown where it is not here, or of
 * another length. The disk may fail at it: what was given by then is not all of it.
 */
export async function* readBlob(
  store: Pick<BlobStore, 'openRead'>,
  digest: Digest,
  { sizeBytes, gone }: { sizeBytes: number; gone: (digest: Digest) => RegistryError },
): AsyncGenerator<Uint8Array> {
  const opened = await store.openRead(digest, sizeBytes)
  if (opened === undefined || opened.blob.sizeBytes !== sizeBytes) {
    await opened?.handle.close()
    throw gone(digest)
  }
  const { handle } = opened
  // One is filled while the other is being sent.
  const buffers = [Buffer.alloc(0), Buffer.alloc(0)].map(() =>
    Buffer.allocUnsafeSlow(Math.min(sizeBytes, PIECE_BYTES)),
  )
  try {
    for (let at = 0, turn = 0; at < sizeBytes; turn += 1) {
      const buffer = buffers[turn % buffers.length] as Buffer
      const filled = await handle.read(
        buffer.subarray(0, Math.min(PIECE_BYTES, sizeBytes - at)),
        at,
      )
      if (filled === 0) throw gone(digest)
      at += filled
      yield buffer.subarray(0, filled)
    }
  } finally {
    await handle.close()
  }
}
