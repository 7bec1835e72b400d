// The servers that are measured, each with the configuration that its own documentation gives for a
// pull-through cache, and its request log on, as it is by default. One that cannot be had is an
// absence with a reason, never a gap.
import { goTool, packagedTool } from '../test/e2e/tools.ts'
import type { Absence } from './figures.ts'
import { distributionKind } from './servers/distribution.ts'
import { entrepot } from './servers/entrepot.ts'
import type { ServerKind } from './servers/kind.ts'
import { nginx, nginxProxy } from './servers/nginx.ts'
import { zot } from './servers/zot.ts'

export const DIRECT = 'direct'
export const V2 = 'docker-registry 2.8'
export const V3 = 'distribution 3.1'

const debian = () => packagedTool('docker-registry')
const module = () => goTool('distribution')

/** Every registry of the tables, in their order. */
export const REGISTRIES: readonly ServerKind[] = [
  entrepot,
  distributionKind(V2, debian, 'pulls through'),
  distributionKind(V3, module, 'pulls through'),
  zot,
]

/**
 * Those that take pushes, each over its own disk: as `registry:2` is run when it is pushed to,
 * without a proxy.
 */
export const PUSHABLE: readonly ServerKind[] = [
  entrepot,
  distributionKind(V2, debian, 'stores'),
  distributionKind(V3, module, 'stores'),
  zot,
]

/** The same, and what serves files as cheaply as it can be done. */
export const HOT_SERVERS: readonly ServerKind[] = [...REGISTRIES, nginx]

/**
 * Every registry, and what is put in front of one when nothing that knows registries is at hand.
 */
export const COLD_SERVERS: readonly ServerKind[] = [...REGISTRIES, nginxProxy]

/** For a table: why `name` is not in it. Paths of this machine are left out. */
export function absenceOf({ name }: { readonly name: string }, error: unknown): Absence {
  const text = error instanceof Error ? error.message : String(error)
  return { server: name, why: text.replace(/(?<![\w.:])\/[\w.@+-]+(?:\/[\w.@+-]+)+/g, '…') }
}

/** A case that could not be set up, for all servers at once. */
export function absentEverywhere(error: unknown): Absence {
  return absenceOf({ name: 'all' }, error)
}
