// Whose bundle it is, and whether what anybody signed is to be believed: nothing of an inventory is
// before its end was read.
import { type BundleKeyText, bundleKeyFrom, bundleKeyId } from '../../bundle/bundle-key.ts'
import type { BundleMember } from '../../bundle/bundle-members.ts'
import { InventoryReader } from '../../bundle/inventory-reader.ts'
import { BundleFault } from '../../bundle/tar-pieces.ts'
import { RegistryError } from '../../oci/errors.ts'
import type { ImportEvent } from './import-answers.ts'
import type { ImportPlan } from './import-plan.ts'

/** Empty ones require nothing. */
export interface RequiredKeys {
  readonly asked: readonly BundleKeyText[]
  readonly trusted: readonly BundleKeyText[]
}

/** Whose inventory was read has one of the keys that an operator named, then. */
export function isAsked({ asked, trusted }: RequiredKeys): boolean {
  return asked.length + trusted.length > 0
}

/**
 * All of it is right before anything of it is believed. `index`: SHA-256 of what stands before it,
 * which it has to be of: an inventory alone was signed for no bundle.
 * @throws BundleFault
 */
export async function readInventory(
  { plan, keys }: { readonly plan: ImportPlan; readonly keys: RequiredKeys },
  { bytes }: BundleMember,
  index: string | undefined,
): Promise<Extract<ImportEvent, { kind: 'inventory' }>> {
  const reader = new InventoryReader()
  for await (const piece of bytes) for (const line of reader.push(piece)) plan.read(line)
  const { edge, end, key, index: signed } = reader.finish()
  if (signed === undefined || signed !== index)
    throw new BundleFault('its index.json is not the one that was signed with its inventory')
  const isTrusted = requireKey(key, keys)
  const { images, bytes: sizeBytes } = end
  return {
    kind: 'inventory',
    edge,
    key,
    keyId: bundleKeyId(key),
    isTrusted,
    images,
    bytes: sizeBytes,
  }
}

/** Is it one that anybody asked for? @throws BundleFault */
function requireKey(key: BundleKeyText, { asked, trusted }: RequiredKeys): boolean {
  const signed = `it is signed by ${key} (${bundleKeyId(key)})`
  if (asked.length > 0 && !asked.includes(key))
    throw new BundleFault(`${signed}, which is none of the keys that are asked for`)
  if (trusted.length > 0 && !trusted.includes(key))
    throw new BundleFault(
      `${signed}, which is not under import.trustedkeys: where it is the key of an edge that you trust, add it there and reload`,
    )
  return isAsked({ asked, trusted })
}

/** @throws RegistryError for what is none */
export function keyFrom(text: string): BundleKeyText {
  const key = bundleKeyFrom(text)
  if (key !== undefined) return key
  throw new RegistryError('NAME_INVALID', `${text} is no key as "entrepot key show" prints it`)
}
