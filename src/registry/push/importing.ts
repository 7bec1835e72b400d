// What an import writes, as it asks the running registry: blobs and manifests, each durable when it
// is done. What a bundle is, it does not know.
import type { Repository, Tag } from '../../oci/reference.ts'
import type { FinishDeps } from '../upload/finish-upload.ts'
import { importBlob, type ImportedBlob } from '../upload/import-blob.ts'
import { foreseeImport, type ImportedManifest, importManifest } from './import-manifest.ts'
import type { ImportedTag, TagOutcome } from '../content/imported-tag.ts'
import type { PushManifestDeps } from './push-manifest.ts'

export interface Importing {
  /** See upload/import-blob.ts. */
  blob(repository: Repository, blob: ImportedBlob): Promise<void>
  /** See import-manifest.ts. */
  manifest(repository: Repository, manifest: ImportedManifest): Promise<TagOutcome>
  /** What would become of a tag now. @throws StoreError */
  foresee(repository: Repository, tag: ImportedTag & { readonly tag: Tag }): Promise<TagOutcome>
}

export function createImporting(blobs: FinishDeps, manifests: PushManifestDeps): Importing {
  return {
    blob: (repository, blob) => importBlob(blobs, repository, blob),
    manifest: (repository, manifest) => importManifest(manifests, repository, manifest),
    foresee: (repository, tag) => foreseeImport(manifests, repository, tag),
  }
}
