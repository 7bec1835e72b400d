// The sidecar of an upload, `uploads/<id>.json`: the caller's note, and how much of the file may be
// believed after which kind of stop.
import type { DigestAlgorithm } from '../../../oci/digest.ts'
import type { Disk } from '../disk.ts'
import { uploadSidecarPath } from '../layout.ts'
import { readSmallFile } from '../small-file.ts'
import type { UploadId } from '../../upload-id.ts'
import { jsonFields } from '../../json-fields.ts'

/** Raised when a field changes its meaning; other versions are not read. */
const VERSION = 1
/** A note of 1 KiB whose every character is escaped stays below it; anything above is not ours. */
const LIMIT_BYTES = 8 * 1024

export interface UploadSidecar {
  readonly note: string
  /** By which the bytes are hashed as they come. */
  readonly algorithm: DigestAlgorithm
  /** The boot in which the file was last written. */
  readonly bootId: string
  /** This many bytes of the file survive a power cut. */
  readonly syncedBytes: number
}

export function formatUploadSidecar(sidecar: UploadSidecar): string {
  const { note, algorithm, bootId, syncedBytes } = sidecar
  return JSON.stringify({ version: VERSION, note, algorithm, bootId, syncedBytes })
}

/** Undefined for anything that formatUploadSidecar does not write. */
export function parseUploadSidecar(text: string): UploadSidecar | undefined {
  const fields = jsonFields(text)
  if (fields === undefined) return undefined
  const { version, note, algorithm, bootId, syncedBytes } = fields
  if (version !== VERSION || typeof note !== 'string' || typeof bootId !== 'string')
    return undefined
  if (algorithm !== 'sha256' && algorithm !== 'sha512') return undefined
  if (!Number.isSafeInteger(syncedBytes) || (syncedBytes as number) < 0) return undefined
  return { note, algorithm, bootId, syncedBytes: syncedBytes as number }
}

/** Undefined when there is none, or none that can be used. @throws the system's error */
export async function loadUploadSidecar(
  { layout }: Pick<Disk, 'layout'>,
  id: UploadId,
): Promise<UploadSidecar | undefined> {
  const text = await readSmallFile(uploadSidecarPath(layout, id), LIMIT_BYTES)
  return text === undefined ? undefined : parseUploadSidecar(text)
}

/** The same; undefined, too, where the disk cannot read it, which is told. */
export async function readUploadSidecar(
  disk: Disk,
  id: UploadId,
): Promise<UploadSidecar | undefined> {
  const path = uploadSidecarPath(disk.layout, id)
  return await disk.unreadable.orNone(path, () => loadUploadSidecar(disk, id))
}

/** How many of the `lengthBytes` of the file may be believed. */
export function believedBytes(disk: Disk, sidecar: UploadSidecar, lengthBytes: number): number {
  return sidecar.bootId === disk.bootId ? lengthBytes : Math.min(lengthBytes, sidecar.syncedBytes)
}
