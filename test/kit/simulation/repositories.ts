// The repositories of a simulation, by what happens in them.
import { parseRepositoryKey } from '../../../src/oci/reference.ts'

export const LOCAL = ['localhost/team/app', 'localhost/team/base'].map(parseRepositoryKey)
export const QUEUED = parseRepositoryKey('docker.io/team/queued')
export const CACHED = ['docker.io/library/cached', 'docker.io/library/other'].map(
  parseRepositoryKey,
)
export const PUSHED = [...LOCAL, QUEUED]
