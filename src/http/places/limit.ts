// How many blob bodies are sent at once when nobody configured it: what the machine's memory
// carries.

/**
 * A client that reads slowly costs some 64–128 KiB here and, of many, 128–512 KiB in the kernel
 * (native/sender.c, unsent-limit.ts): with so many to the GiB, all of them together stay within a
 * seventh of the memory; what took some and then stops may hold more. Without the addon the
 * kernel's own limit, 4 MiB for each on Linux, is all that bounds them, and they may come to as
 * much as there is.
 */
const PLACES_PER_GIB = 256
/** Below it, a site of a few nodes would wait on a machine that has nothing else to do. */
const PLACES_MIN = 64
/** Beyond it no link is left to share. */
const PLACES_MAX = 2_048

const GIB = 2 ** 30

/**
 * `memoryBytes` is what this process may have: that of the machine, or of its control group. 64 at
 * least, 2,048 at most.
 */
export function placesFor(memoryBytes: number): number {
  const places = Math.floor((memoryBytes / GIB) * PLACES_PER_GIB)
  return Math.min(Math.max(places, PLACES_MIN), PLACES_MAX)
}
