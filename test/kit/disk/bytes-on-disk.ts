// A file with given bytes, open for reading until the tests are over: what a blob's file is to
// whoever sends from it by number.
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Returns the descriptor. */
export function bytesOnDisk(t: { teardown(fn: () => unknown): unknown }, bytes: Buffer): number {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-bytes-'))
  const path = join(directory, 'blob')
  writeFileSync(path, bytes)
  const descriptor = openSync(path, 'r')
  t.teardown(() => {
    closeSync(descriptor)
    rmSync(directory, { recursive: true })
  })
  return descriptor
}
