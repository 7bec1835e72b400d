// The sidecar of a part, `fills/<alg>-<hex>.json`: what the upstream said about the blob, and how
// much of the part may be believed after which kind of stop. A sidecar that cannot be read makes
// its part worthless, never wrong: the bytes are hashed whatever it says.
import type { Digest } from '../../../oci/digest.ts'
import type { FillExpectation } from '../../../registry/ports/blob-store-fills.ts'
import type { Disk } from '../disk.ts'
import { sidecarPath } from '../layout.ts'
import { readSmallFile } from '../small-file.ts'
import { jsonFields } from '../../json-fields.ts'

/** Raised when a field changes its meaning; other versions are not read. */
const VERSION = 1
/**
 * Of a part with holes. What reads version 1 alone believes its length, so it must not take this
 * one for its own.
 */
const SPARSE_VERSION = 2
/**
 * Longer than any upstream's ETag; a longer one is not written down, and the fill then resumes
 * without If-Range.
 */
const VALIDATOR_LIMIT = 512
/** Four times the largest sidecar that is written here; anything above it is not ours. */
const SIDECAR_LIMIT_BYTES = 4096

export interface Sidecar {
  readonly expected: FillExpectation
  /** The boot in which the part was last written. */
  readonly bootId: string
  /** This many bytes of the part survive a power cut. */
  readonly syncedBytes: number
  /** This many bytes are there without a hole. Undefined: as many as the part is long. */
  readonly prefixBytes: number | undefined
}

export function formatSidecar({ expected, bootId, syncedBytes, prefixBytes }: Sidecar): string {
  const { sizeBytes, validator, source } = expected
  return JSON.stringify({
    version: prefixBytes === undefined ? VERSION : SPARSE_VERSION,
    sizeBytes: sizeBytes ?? null,
    validator: validator !== undefined && validator.length <= VALIDATOR_LIMIT ? validator : null,
    bootId,
    syncedBytes,
    ...(source === undefined ? {} : { source }),
    ...(prefixBytes === undefined ? {} : { prefixBytes }),
  })
}

/** Undefined for anything that formatSidecar does not write. */
export function parseSidecar(text: string): Sidecar | undefined {
  const fields = jsonFields(text)
  if (fields === undefined) return undefined
  const { version, sizeBytes, validator, bootId, syncedBytes } = fields
  if (typeof bootId !== 'string' || !isCount(syncedBytes)) return undefined
  const prefixBytes = version === VERSION ? undefined : fields['prefixBytes']
  if (version !== VERSION && (version !== SPARSE_VERSION || !isCount(prefixBytes))) return undefined
  if (sizeBytes !== null && !isCount(sizeBytes)) return undefined
  if (validator !== null && typeof validator !== 'string') return undefined
  // Versions before this note have none, and pass over it.
  const source = fields['source']
  const expected = {
    sizeBytes: sizeBytes ?? undefined,
    validator: validator ?? undefined,
    ...(typeof source === 'string' ? { source } : {}),
  }
  return { expected, bootId, syncedBytes, prefixBytes: prefixBytes as number | undefined }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

/** Undefined when there is none, or none that can be used. @throws the system's error */
export async function loadSidecar(
  { layout }: Pick<Disk, 'layout'>,
  digest: Digest,
): Promise<Sidecar | undefined> {
  const text = await readSmallFile(sidecarPath(layout, digest), SIDECAR_LIMIT_BYTES)
  return text === undefined ? undefined : parseSidecar(text)
}

/** The same; undefined, too, where the disk cannot read it, which is told. */
export async function readSidecar(disk: Disk, digest: Digest): Promise<Sidecar | undefined> {
  const path = sidecarPath(disk.layout, digest)
  return await disk.unreadable.orNone(path, () => loadSidecar(disk, digest))
}

/** How many bytes of a part of `lengthBytes` may be resumed; 0 when it is worth nothing. */
export function usableBytes(disk: Disk, sidecar: Sidecar | undefined, lengthBytes: number): number {
  if (sidecar === undefined) return 0
  const sameBoot = sidecar.bootId === disk.bootId
  const believed = sameBoot ? (sidecar.prefixBytes ?? lengthBytes) : sidecar.syncedBytes
  const usable = Math.min(lengthBytes, believed)
  // More than the whole blob: this is not a part of it.
  return usable > (sidecar.expected.sizeBytes ?? usable) ? 0 : usable
}
