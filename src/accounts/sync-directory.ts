// What has another name in a directory has it after a power cut, too.
import { closeSync, fsyncSync, openSync } from 'node:fs'

/** @throws the system's errors */
export function syncDirectory(directory: string): void {
  const descriptor = openSync(directory, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}
