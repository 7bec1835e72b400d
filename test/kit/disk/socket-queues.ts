// What the kernel holds for the connections of a port that their clients have not taken: as
// /proc/net/tcp of Linux tells it.
import { readFile } from 'node:fs/promises'

/** Fields of a line, counted from 0: `sl local_address rem_address st tx_queue:rx_queue …`. */
const LOCAL = 1
const QUEUES = 4

/**
 * For each IPv4 connection to `port` that bytes wait on: how many were written and not acknowledged
 * by the other side.
 */
export async function queuedToSend(port: number): Promise<readonly number[]> {
  const [, ...lines] = (await readFile('/proc/net/tcp', 'utf8')).trim().split('\n')
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return lines
    .map(line => line.trim().split(/\s+/))
    .filter(fields => fields[LOCAL]?.endsWith(suffix) === true)
    .map(fields => Number.parseInt(fields[QUEUES]?.split(':')[0] ?? '', 16))
    .filter(bytes => bytes > 0)
}
