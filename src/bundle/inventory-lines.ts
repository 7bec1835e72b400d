// The lines of an inventory as somebody else has written them: each value has the type and the
// bound that it is read with, or the line is refused. Members that nobody knows are left behind.
import { type Digest, digestFrom } from '../oci/digest.ts'
import {
  INVENTORY_VERSION,
  type InventoryContent,
  type InventoryHead,
  type InventoryImage,
} from './inventory.ts'
import { BundleFault } from './tar-pieces.ts'

/**
 * An identity, with what says how its numbers count (registry/content/imported-tag.ts); ours have
 * 32 characters. Nothing that a terminal would take for more than a name.
 */
const EDGE = /^(clock of )?[\w.-]{1,100}$/
/** Two names of 127 characters and what is between them (RFC 6838 4.2). */
const MEDIA_TYPE = /^[!-~]{1,255}$/
/** As many as are written (registry/carry/edge-inventory.ts). */
const REPOSITORIES_MAX = 1_000
/**
 * Of pushes and, in milliseconds, of times: no edge comes so far, and one that takes such a number
 * for its own has as many left.
 */
export const ORDER_NUMBER_MAX = 2 ** 52

type Line = Readonly<Record<string, unknown>>

/** @throws BundleFault */
export function headFrom(line: Line): InventoryHead {
  const { entrepot, version, edge, index } = line
  if (entrepot !== 'inventory') throw fault('is none: its first line says so')
  if (version !== INVENTORY_VERSION)
    throw fault(`has version ${JSON.stringify(version)?.slice(0, 40)}; a newer entrepot reads it`)
  if (!isEdge(edge)) throw fault('does not say whose it is')
  return {
    entrepot,
    version: INVENTORY_VERSION,
    edge,
    ...(typeof index === 'string' && { index }),
  }
}

/** @throws BundleFault */
export function imageFrom(line: Line): InventoryImage {
  const { image, digest, order, changedAtMs } = line
  if (typeof image !== 'string' || !isDigest(digest)) throw fault('has an image without a digest')
  if (changedAtMs !== undefined && !isNumber(changedAtMs))
    throw fault(`has a time of ${quoted(image)} that is none`)
  return {
    image,
    digest,
    ...(order !== undefined && { order: orderFrom(image, order) }),
    ...(changedAtMs !== undefined && { changedAtMs }),
  }
}

function orderFrom(image: string, order: unknown): { edge: string; number: number } {
  const { edge, number } = Object(order) as Line
  if (isEdge(edge) && isNumber(number)) return { edge, number }
  throw fault(`has an order of ${quoted(image)} that no edge gives`)
}

/** @throws BundleFault */
export function contentFrom(line: Line): InventoryContent {
  const { content, size, type, subject, in: repositories, kept, state } = line
  if (!isDigest(content) || !isSize(size)) throw fault('has content without a digest or a size')
  if (type !== undefined && !isText(type, MEDIA_TYPE))
    throw fault(`has a media type of ${content} that is none`)
  if (state !== undefined && state !== 'supposed' && state !== 'left out')
    throw fault(`has a state of ${content} that nobody knows`)
  if (repositories !== undefined && !areRepositories(repositories))
    throw fault(`does not say in which repositories ${content} is, ${REPOSITORIES_MAX} at most`)
  return {
    content,
    size,
    ...(type !== undefined && { type }),
    ...(isDigest(subject) && { subject }),
    ...(repositories !== undefined && { in: repositories }),
    ...(kept === true && { kept }),
    ...(state !== undefined && { state }),
  }
}

function areRepositories(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || value.length > REPOSITORIES_MAX) return false
  return value.every(each => typeof each === 'string')
}

function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && digestFrom(value) !== undefined
}

function isEdge(value: unknown): value is string {
  return isText(value, EDGE)
}

function isText(value: unknown, form: RegExp): value is string {
  return typeof value === 'string' && form.test(value)
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

function isNumber(value: unknown): value is number {
  return isSize(value) && value <= ORDER_NUMBER_MAX
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 300))
}

export function fault(what: string): BundleFault {
  return new BundleFault(`the inventory ${what}`)
}
