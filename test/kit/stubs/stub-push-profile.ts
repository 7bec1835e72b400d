// How a registry takes pushes, as data: habits that last. What goes wrong with one push is a fault
// (stub-faults.ts).

export interface PushBehaviour {
  /**
   * How the Location of an upload is written: `path` from the root, `relative` to the request,
   * `absolute`, `schemeless` (`//host/…`), or `storage`: on the second host, which then takes the
   * bytes.
   */
  readonly location: 'path' | 'relative' | 'absolute' | 'schemeless' | 'storage'
  /** Location has `?_state=…`, another one after each answer, and only the newest is taken. */
  readonly state: boolean
  /**
   * Status of a PATCH, of the PUT that ends an upload, of the PUT of a manifest; ECR answers 201 to
   * a PATCH.
   */
  readonly patchStatus: number
  readonly blobStatus: number
  readonly manifestStatus: number
  /** `session`: an upload begins (202), wherever the blob is. A number: this error instead. */
  readonly mounts: 'yes' | 'session' | number
  /** Manifests that name what is not in the repository: 400 MANIFEST_BLOB_UNKNOWN. */
  readonly checksReferences: boolean
  /** Without it a repository must be there before anything is pushed to it (ECR). */
  readonly createsRepositories: boolean
}

export const PLAIN_PUSH: PushBehaviour = {
  location: 'path',
  state: true,
  patchStatus: 202,
  blobStatus: 201,
  manifestStatus: 201,
  mounts: 'yes',
  checksReferences: true,
  createsRepositories: true,
}
