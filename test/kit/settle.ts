// Lets everything in memory go on until it waits for something else: sockets, files, the clock.
import { setImmediate as turn } from 'node:timers/promises'

/** Turns of the event loop: more than anything in memory takes. */
const TURNS = 200

export async function settle(): Promise<void> {
  for (let turns = 0; turns < TURNS; turns += 1) await turn()
}
