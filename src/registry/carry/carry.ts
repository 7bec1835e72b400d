// What operators carry out of this edge, and into it: the key by which it signs, inventories,
// exports, imports, and backups.
import type { BundleKeyText, BundleSigner } from '../../bundle/bundle-key.ts'
import { bundleKeyId } from '../../bundle/bundle-key.ts'
import type { NoteEvent } from '../ports/events.ts'
import type { OperatorDeps } from '../operator/operator-deps.ts'
import type { TakeSnapshot } from '../ports/catalog-snapshot.ts'
import { Backups } from './backups.ts'
import { writeEdgeInventory } from './edge-inventory.ts'
import { Exports } from './exports.ts'
import type { Held } from './held.ts'
import { WatchedImports } from './watched-imports.ts'

export interface CarryDeps extends OperatorDeps {
  readonly held: Held
  readonly note: NoteEvent
  /** See ImportsDeps. */
  readonly trustedKeys: () => readonly BundleKeyText[]
  /** Makes the key where there is none. @throws RegistryError where it cannot be had */
  readonly signer: () => BundleSigner
  readonly takeSnapshot: TakeSnapshot
  /** Of BackupsDeps. */
  readonly directory: string
}

export interface ShownKey {
  /** What people compare. */
  readonly id: string
  readonly key: string
}

export interface Carry {
  /** @throws RegistryError where it cannot be had */
  key(): ShownKey
  /** Of what is here, in pieces; without a pattern of everything. @throws RegistryError */
  inventory(patterns: readonly string[]): AsyncIterable<Uint8Array>
  readonly exports: Exports
  readonly imports: WatchedImports
  readonly backups: Backups
}

export function createCarry(deps: CarryDeps): Carry {
  const { registry, signer } = deps
  const released = () => void registry.leaving.finish()
  return {
    key: () => {
      const { key } = signer()
      return { id: bundleKeyId(key), key }
    },
    inventory: patterns => writeEdgeInventory(deps, patterns, signer()),
    exports: new Exports({ ...deps, released }),
    imports: new WatchedImports({ ...deps, released }),
    backups: new Backups({ ...deps, released }),
  }
}
