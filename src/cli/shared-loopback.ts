// Does this process have its loopback to itself? In some containers what forwards a port from
// outside runs as what is root in there, or as a person, and calls from loopback: to this server it
// looks like a registry client that somebody runs beside it.
import { readFileSync, statSync } from 'node:fs'
import type { Surroundings } from '../server/surroundings.ts'

/** Where it does not; undefined where nothing says so. */
type Shared = Surroundings['sharedLoopback']

interface Place {
  /**
   * What the kernel says of this process's users: lines of first id in here, first id outside, how
   * many. Undefined: no such file.
   */
  readonly uidMap: string | undefined
  /**
   * Whose `/proc` is, in here: it is the machine's root's, who is nobody wherever this namespace
   * has no number for it.
   */
  readonly procOwner: number | undefined
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Kubernetes puts it into every container. */
const IN_EVERY_POD = 'KUBERNETES_SERVICE_HOST'

/** Here and now. Never throws. */
export function readSharedLoopback(env: Place['env']): Shared {
  try {
    const uidMap = readFileSync('/proc/self/uid_map', 'utf8')
    return sharedLoopback({ uidMap, procOwner: statSync('/proc').uid, env })
  } catch {
    return sharedLoopback({ uidMap: undefined, procOwner: undefined, env })
  }
}

/**
 * Where root in here is not the machine's, programs of another user come in as root: the port
 * forwarders of rootless container engines, which whoever reaches the machine comes through. The
 * map alone would not tell it in a container within such a one: it counts from the namespace
 * around. systemd's PrivateUsers= leaves root what it is, or has no root.
 */
export function sharedLoopback({ uidMap = '', procOwner, env }: Place): Shared {
  const hasRoot = uidMap
    .split('\n')
    .map(row => row.trim().split(/\s+/))
    .some(([inside, outside]) => inside === '0' || outside === '0')
  if (hasRoot && procOwner !== 0) return 'user namespace'
  return env[IN_EVERY_POD] === undefined ? undefined : 'pod'
}
