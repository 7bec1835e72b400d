// Which boot of the machine this is: files that were written in another one are believed only as
// far as they were synced.
import { readFileSync } from 'node:fs'
import { systemClock } from '../server/clock.ts'

/** Where the kernel tells none, every start counts as a new boot. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return `start-${systemClock.nowMs()}`
  }
}
