// The uploads of one store: which of them are open in this process, and what lies in `uploads/`.
import { lstat, readdir, utimes } from 'node:fs/promises'
import type { DigestAlgorithm } from '../../../oci/digest.ts'
import type { LeftUpload, UploadFile } from '../../../registry/ports/blob-store-uploads.ts'
import { UNKNOWN } from '../../../registry/ports/blob-store-content.ts'
import { StoreError } from '../../../registry/ports/store-error.ts'
import { newUploadId, type UploadId, uploadIdFrom } from '../../upload-id.ts'
import { eachFew } from '../../../async/few-at-once.ts'
import { type Disk, FILES_AT_ONCE, orStoreError, removeFile } from '../disk.ts'
import { ignoreMissing } from '../disk-error.ts'
import { uploadEntry, uploadPath, uploadSidecarPath } from '../layout.ts'
import { createUploadFiles, openLeftUpload } from './open-upload.ts'
import type { Turns } from '../../../async/turns.ts'
import { AN_UPLOAD, FilesystemUpload, type UploadContext } from './upload-file.ts'
import { believedBytes, loadUploadSidecar } from './upload-sidecar.ts'

export class FilesystemUploads {
  readonly #disk: Disk
  readonly #turns: Turns
  /** Open, or about to be opened or removed. */
  readonly #busy = new Set<UploadId>()

  constructor(disk: Disk, turns: Turns) {
    this.#disk = disk
    this.#turns = turns
  }

  async create(text: string, note: string, algorithm: DigestAlgorithm): Promise<UploadFile> {
    const id = newUploadId(text, note)
    const context = this.#claim(id)
    try {
      const made = await createUploadFiles(this.#disk, id, { note, algorithm })
      return new FilesystemUpload(made, context)
    } catch (error) {
      context.ended()
      throw error
    }
  }

  async open(text: string): Promise<UploadFile | undefined> {
    const id = uploadIdFrom(text)
    if (id === undefined) return undefined
    const context = this.#claim(id)
    try {
      const left = await openLeftUpload(this.#disk, id)
      if (left !== undefined) return new FilesystemUpload(left, context)
    } catch (error) {
      context.ended()
      throw error
    }
    context.ended()
    return undefined
  }

  async list(): Promise<readonly LeftUpload[]> {
    return await orStoreError(this.#disk, 'list the uploads', async () => {
      const names = await readdir(this.#disk.layout.uploads)
      const entries = names.map(uploadEntry).filter(entry => entry !== undefined)
      const uploads: LeftUpload[] = []
      await eachFew(entries, FILES_AT_ONCE, async ({ kind, id }) => {
        const upload = kind === 'file' ? await this.#lookAt(id) : undefined
        if (upload !== undefined) uploads.push(upload)
      })
      return uploads
    })
  }

  async date(text: string, changedAtMs: number): Promise<void> {
    const id = uploadIdFrom(text)
    if (id === undefined) return
    const at = changedAtMs / 1000
    await orStoreError(this.#disk, `date ${AN_UPLOAD}`, async () => {
      await utimes(uploadPath(this.#disk.layout, id), at, at).catch(ignoreMissing)
    })
  }

  async remove(text: string): Promise<void> {
    const id = uploadIdFrom(text)
    if (id === undefined) return
    const { layout } = this.#disk
    const { ended } = this.#claim(id)
    try {
      await orStoreError(this.#disk, `remove ${AN_UPLOAD}`, async () => {
        await removeFile(uploadPath(layout, id))
        await removeFile(uploadSidecarPath(layout, id))
      })
    } finally {
      ended()
    }
  }

  #claim(id: UploadId): UploadContext {
    if (this.#busy.has(id)) throw new StoreError('busy', `${AN_UPLOAD} is open already`)
    this.#busy.add(id)
    return { disk: this.#disk, turns: this.#turns, ended: () => this.#busy.delete(id) }
  }

  /** Undefined when it has gone meanwhile, or there is no sidecar. */
  async #lookAt(id: UploadId): Promise<LeftUpload | undefined> {
    const disk = this.#disk
    const { layout, unreadable, clock } = disk
    const path = uploadPath(layout, id)
    const stats = await unreadable.orUnknown(path, () => lstat(path).catch(ignoreMissing))
    if (stats === UNKNOWN) return { id, note: '', sizeBytes: 0, changedAtMs: clock.nowMs() }
    if (!stats?.isFile()) return undefined
    const look = () => loadUploadSidecar(disk, id)
    const sidecar = await unreadable.orUnknown(uploadSidecarPath(layout, id), look)
    if (sidecar === undefined) return undefined
    const isUnread = sidecar === UNKNOWN
    const sizeBytes = isUnread ? stats.size : believedBytes(disk, sidecar, stats.size)
    return { id, note: isUnread ? '' : sidecar.note, sizeBytes, changedAtMs: stats.mtimeMs }
  }
}
