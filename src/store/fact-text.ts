// Kept facts as text: the JSON of one fact, and the name that says which fact it is
// (docs/storage-format.md, "Facts"). Knows no disk.
import { createHash } from 'node:crypto'
import { type Digest, digestFrom } from '../oci/digest.ts'
import { parseRepositoryKey, type RepositoryKey, repositoryKey, tagFrom } from '../oci/reference.ts'
import {
  type Fact,
  type FactIdentity,
  FOREIGN_NAMED_MAX,
  type ListedFact,
} from '../registry/ports/facts.ts'
import type { Order } from '../registry/ports/order.ts'
import { jsonFields } from './json-fields.ts'

/** Raised when a field changes its meaning; other versions are not read. */
const VERSION = 1
/**
 * With `foreign`: whoever knows nothing of it must not take the manifest for one that has all that
 * it lists.
 */
const FOREIGN_VERSION = 2
/** With `absent`: nor for one that has nothing of what it names. */
const ABSENT_VERSION = 3

/**
 * Bytes of one fact: an outbox entry of 64 KiB whose quotes are all written twice. Nothing longer
 * is written or read.
 */
export const FACT_LIMIT_BYTES = 128 * 1024

type KeptFact = Extract<Fact, { kind: 'manifest' }>

const NAME = /^[0-9a-f]{64}$/

/** The same for facts that take each other's place, and for no others: 64 hex characters. */
export function factName(identity: FactIdentity): string {
  return createHash('sha256').update(identityText(identity)).digest('hex')
}

export function isFactName(text: string): boolean {
  return NAME.test(text)
}

/** No part has a space in it, so different identities have different texts. */
function identityText(identity: FactIdentity): string {
  switch (identity.kind) {
    case 'manifest':
    case 'deleted':
      return `${identity.kind} ${identity.repository} ${identity.digest}`
    case 'tag':
      return `${identity.kind} ${identity.repository} ${identity.tag}`
    case 'delivery':
      return `${identity.kind} ${identity.id}`
  }
}

/**
 * `catalog`: the identity of the one under which it is told; one that `isEarlier` is told under
 * none.
 * @throws Error when it is longer than FACT_LIMIT_BYTES: it could not be read again
 */
export function formatFact({ isEarlier, ...fact }: ListedFact, catalog: string): string {
  const told = isEarlier === true ? {} : { catalog }
  const text = JSON.stringify({ version: versionOf(fact), ...told, ...fact })
  if (Buffer.byteLength(text) <= FACT_LIMIT_BYTES) return text
  throw new Error(`a fact of kind ${fact.kind} is longer than ${FACT_LIMIT_BYTES} bytes`)
}

/**
 * The fact whose name is `name`, as `catalog` is to see it; undefined for anything that formatFact
 * does not write.
 */
export function parseFact(name: string, text: string, catalog: string): ListedFact | undefined {
  if (Buffer.byteLength(text) > FACT_LIMIT_BYTES) return undefined
  const fields = jsonFields(text)
  if (fields === undefined) return undefined
  const fact = factFrom(fields)
  // Under another name it would be replaced and removed by nobody.
  if (fact === undefined || factName(fact) !== name) return undefined
  return fields['catalog'] === catalog ? fact : { ...fact, isEarlier: true }
}

function versionOf(fact: Fact): number {
  if (fact.kind !== 'manifest') return VERSION
  if (fact.absent !== undefined) return ABSENT_VERSION
  return fact.foreign === undefined ? VERSION : FOREIGN_VERSION
}

function factFrom(fields: Readonly<Record<string, unknown>>): Fact | undefined {
  const fact = anyVersionFrom(fields)
  return fact !== undefined && versionOf(fact) === fields['version'] ? fact : undefined
}

function anyVersionFrom(fields: Readonly<Record<string, unknown>>): Fact | undefined {
  const { kind } = fields
  if (kind === 'delivery') return deliveryFrom(fields)
  const { repository: key, digest: hex, atMs } = fields
  const repository = typeof key === 'string' ? keyFrom(key) : undefined
  const digest = typeof hex === 'string' ? digestFrom(hex) : undefined
  if (repository === undefined || digest === undefined || !isTime(atMs)) return undefined
  const order = orderFrom(fields['order'])
  if (kind === 'deleted') return { kind, repository, digest, atMs, ...order }
  if (kind === 'manifest') {
    const { mediaType } = fields
    if (typeof mediaType !== 'string') return undefined
    const named = namedFrom(fields)
    return named && { kind, repository, digest, mediaType, atMs, ...importedFrom(fields), ...named }
  }
  if (kind !== 'tag') return undefined
  const tag = typeof fields['tag'] === 'string' ? tagFrom(fields['tag']) : undefined
  if (tag === undefined) return undefined
  return { kind, repository, tag, digest, atMs, ...importedFrom(fields), ...order }
}

function importedFrom({ imported }: Readonly<Record<string, unknown>>): { imported?: true } {
  return imported === true ? { imported } : {}
}

/** What cannot be read as one is none: the fact says the same without it. */
function orderFrom(field: unknown): { readonly order?: Order } {
  if (typeof field !== 'object' || field === null) return {}
  const { edge, number } = field as Readonly<Record<string, unknown>>
  if (typeof edge !== 'string' || !Number.isSafeInteger(number)) return {}
  return { order: { edge, number: number as number } }
}

/** Undefined when it cannot be read. */
function namedFrom({
  foreign,
  absent,
}: Readonly<Record<string, unknown>>): Pick<KeptFact, 'foreign' | 'absent'> | undefined {
  if (foreign !== undefined && absent !== undefined) return undefined
  const named = foreign ?? absent
  if (named === undefined) return {}
  const digests = digestsFrom(named)
  if (digests === undefined) return undefined
  return absent === undefined ? { foreign: digests } : { absent: digests }
}

function digestsFrom(field: unknown): readonly Digest[] | undefined {
  if (!Array.isArray(field) || field.length > FOREIGN_NAMED_MAX) return undefined
  const digests = field.map(each => (typeof each === 'string' ? digestFrom(each) : undefined))
  return digests.every(each => each !== undefined) ? digests : undefined
}

/** The carrier `queue` in facts: until version 2000 of the catalog it was called `forward`. */
const WORDS_FOR_QUEUE = new Set<unknown>(['queue', 'forward'])

function deliveryFrom(fields: Readonly<Record<string, unknown>>): Fact | undefined {
  const { id, carrier, key, payload, createdAtMs } = fields
  if (!Number.isSafeInteger(id) || !isTime(createdAtMs) || !WORDS_FOR_QUEUE.has(carrier))
    return undefined
  if (typeof key !== 'string' || typeof payload !== 'string') return undefined
  return { kind: 'delivery', id: id as number, carrier: 'queue', key, payload, createdAtMs }
}

function keyFrom(text: string): RepositoryKey | undefined {
  try {
    const key = repositoryKey(parseRepositoryKey(text))
    return key === text ? key : undefined
  } catch {
    return undefined
  }
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && value >= 0
}
