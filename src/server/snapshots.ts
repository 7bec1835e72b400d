// The catalog of this edge, copied as it is at one moment: beside what is being written, so that a
// start takes away what a kill has left.
import { join } from 'node:path'
import { takeSnapshot } from '../catalog/sqlite/snapshot/take-snapshot.ts'
import type { TakeSnapshot } from '../registry/ports/catalog-snapshot.ts'
import { layoutUnder, temporaryPath } from '../store/filesystem/layout.ts'

export function snapshotsOf(rootDirectory: string): TakeSnapshot {
  const file = join(rootDirectory, 'catalog.db')
  const layout = layoutUnder(rootDirectory)
  return () => takeSnapshot({ file, to: temporaryPath(layout) })
}
