// end-6: an upload becomes a blob (R101, R104, R105). Acknowledged means: its bytes hash to the
// digest, are durable and recorded, and in `forward` mode the upstream has them too. However it
// ends once all its bytes are here, the upload is over: clients begin a push anew, and nobody would
// come back for what is left of it.
import type { Digest } from '../../oci/digest.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { Repository } from '../../oci/reference.ts'
import type { BlobPushed, UploadChunk } from '../answers.ts'
import { type AppendDeps, appendChunk, checkPlace, streamOf } from './append-upload.ts'
import { bestEffort } from '../best-effort.ts'
import type { BlobPresence } from '../facts/blob-presence.ts'
import type { BlobStream } from './forward-blob.ts'
import type { StoredContent } from '../content/content.ts'
import type { StoredBlob } from '../ports/blob-store-content.ts'
import type { UploadFile } from '../ports/blob-store-uploads.ts'
import { StoreError } from '../ports/store-error.ts'
import { createReadBuffer } from '../ports/chunk-memory.ts'
import type { BlobSource } from '../ports/upstream-content.ts'
import { requirePush } from '../refusals/push-refusal.ts'
import type { OpenUpload } from './upload.ts'
import { withFullDiskErrors } from './upload-refusal.ts'
import { withPushErrors } from '../refusals/upstream-failure.ts'

export interface FinishDeps extends AppendDeps {
  readonly content: StoredContent
  readonly presence: BlobPresence
}

/**
 * Read from disk at once for an upstream: what a few requests on a fast line ask for, and little
 * memory.
 */
const SOURCE_CHUNK_BYTES = 256 * 1024

/**
 * @throws as appendUpload; RegistryError DIGEST_INVALID, and what the upstream said in `forward`
 * mode; StoreError
 */
export async function finishUpload(
  deps: FinishDeps,
  repository: Repository,
  { id, digest, chunk }: { id: string; digest: Digest; chunk: UploadChunk },
): Promise<BlobPushed> {
  const way = requirePush(deps, repository)
  const blob = await withFullDiskErrors(deps.note, () =>
    deps.uploads.write(repository, id, async open => {
      checkPlace(open.upload.state, chunk)
      const stream = streamOf(open, repository, way)
      if (open.upload.sizeBytes === 0) await stream?.ask(digest)
      await appendChunk(deps, open, chunk)
      try {
        const published = await publish(deps, repository, { open, digest, stream })
        await deps.uploads.end(open.upload)
        return published
      } catch (error) {
        await deps.uploads.end(open.upload, error)
        throw error
      }
    }),
  )
  const { sizeBytes } = blob
  deps.note({ kind: 'pushed', repository, what: 'blob', mode: way.mode, sizeBytes })
  return blob
}

async function publish(
  deps: FinishDeps,
  repository: Repository,
  { open, digest, stream }: { open: OpenUpload; digest: Digest; stream: BlobStream | undefined },
): Promise<StoredBlob> {
  if (stream === undefined) return publishHere(deps, repository, { open, digest })
  const { content, presence, note, space } = deps
  const { file, upload } = open
  const published = (): void => upload.published(space, digest)
  const blob = await verified(file, digest)
  await withPushErrors(repository, () => stream.finish(sourceOf(file, blob)))
  // The upstream has it: what this disk does with its copy is caching.
  const isHere = await bestEffort(note, () =>
    presence.record(repository, digest, of =>
      content.publish(file, { ...of, hold: 'nothing' }, published),
    ),
  )
  if (!isHere) await bestEffort(note, () => presence.recordElsewhere(repository, digest))
  return blob
}

/**
 * Durable when it resolves, and pending until a manifest lists it.
 * @throws RegistryError DIGEST_INVALID; StoreError
 */
export async function publishHere(
  { content, presence, space }: FinishDeps,
  repository: Repository,
  { open, digest }: { open: OpenUpload; digest: Digest },
): Promise<StoredBlob> {
  const { file, upload } = open
  const blob = await verified(file, digest)
  await presence.record(repository, digest, of =>
    content.publish(file, { ...of, hold: 'awaited' }, () => upload.published(space, digest)),
  )
  return blob
}

/** @throws RegistryError DIGEST_INVALID */
async function verified(file: UploadFile, digest: Digest): Promise<StoredBlob> {
  try {
    return await file.verify(digest)
  } catch (error) {
    if (!(error instanceof StoreError) || error.failure !== 'corrupt') throw error
    throw new RegistryError(
      'DIGEST_INVALID',
      `the ${file.sizeBytes} bytes that came do not hash to ${digest}; the upload has ended, begin a new one`,
      { cause: error },
    )
  }
}

/** The upload's bytes as they lie on disk, for as long as its file is open. */
function sourceOf(file: UploadFile, { digest, sizeBytes }: StoredBlob): BlobSource {
  return {
    digest,
    sizeBytes,
    async *read() {
      await file.flush()
      const handle = await file.openRead()
      try {
        for (let at = 0; at < sizeBytes; ) {
          const chunk = createReadBuffer(Math.min(SOURCE_CHUNK_BYTES, sizeBytes - at))
          const count = await handle.read(chunk, at)
          if (count === 0) throw new StoreError('io', 'an upload ends before its last byte')
          at += count
          yield chunk.subarray(0, count)
        }
      } finally {
        await handle.close()
      }
    },
  }
}
