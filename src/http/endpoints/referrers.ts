// The manifests that refer to a digest (end-12; R73–R76): always an image index, empty when there
// are none.
import type { Endpoint } from '../../oci/endpoint.ts'
import { RegistryError } from '../../oci/errors.ts'
import { OCI_INDEX } from '../../oci/media-type.ts'
import type { Answer } from '../answer.ts'
import { REVALIDATE, warningLines } from './headers.ts'
import type { NamedContext } from '../context.ts'
import { REFERRERS_MAX_BYTES } from '../limits.ts'

type ReferrersEndpoint = Extract<Endpoint, { kind: 'referrers' }>

const ARTIFACT_TYPE_MAX_LENGTH = 255
const HEAD = `{"schemaVersion":2,"mediaType":"${OCI_INDEX}","manifests":[`
const TAIL = ']}'

export async function answerReferrers(
  { exchange, registry, routed, target }: NamedContext,
  { digest }: ReferrersEndpoint,
): Promise<Answer> {
  const artifactTypes = target.query.getAll('artifactType').filter(type => type !== '')
  if (artifactTypes.some(type => type.length > ARTIFACT_TYPE_MAX_LENGTH)) {
    throw new RegistryError('UNSUPPORTED', 'an artifactType has at most 255 characters', {
      status: 400,
    })
  }
  const list = await registry.listReferrers(routed.repository, digest, artifactTypes)
  exchange.record.source = list.source
  const page = pageOf(list.manifests, target.query.get('last') ?? undefined)
  return {
    status: 200,
    headers: {
      'Content-Type': OCI_INDEX,
      'Cache-Control': REVALIDATE,
      'X-Entrepot-Source': list.source,
      'OCI-Filters-Applied': list.filtered ? 'artifactType' : undefined,
      Link:
        page.last === undefined
          ? undefined
          : nextLink(routed.urlPrefix, digest, { query: target.query, last: page.last }),
      Warning: warningLines(list.warnings),
    },
    body: { kind: 'bytes', bytes: Buffer.from(`${HEAD}${page.members.join(',')}${TAIL}`) },
  }
}

interface ReferrersPage {
  /** Descriptors as JSON. */
  readonly members: readonly string[]
  /** Where the next page goes on, when there is one. */
  readonly last: string | undefined
}

/**
 * As many descriptors as fit; where they do not all fit, in the order of their digests, which stays
 * the same between pages.
 */
function pageOf(manifests: readonly unknown[], after: string | undefined): ReferrersPage {
  const members = manifests.map(manifest => ({
    key: digestText(manifest),
    json: JSON.stringify(manifest),
  }))
  const total = members.reduce(
    (sum, { json }) => sum + Buffer.byteLength(json) + 1,
    HEAD.length + TAIL.length,
  )
  if (after === undefined && total <= REFERRERS_MAX_BYTES) {
    return { members: members.map(({ json }) => json), last: undefined }
  }
  members.sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)))
  const page: string[] = []
  let room = REFERRERS_MAX_BYTES - HEAD.length - TAIL.length
  let last: string | undefined
  for (const { key, json } of members) {
    if (after !== undefined && key <= after) continue
    room -= Buffer.byteLength(json) + 1
    // One that is larger than a page by itself must not end the list.
    if (room < 0 && page.length > 0) return { members: page, last }
    page.push(json)
    last = key
  }
  return { members: page, last: undefined }
}

function digestText(manifest: unknown): string {
  const digest =
    typeof manifest === 'object' && manifest !== null && 'digest' in manifest ? manifest.digest : ''
  return typeof digest === 'string' ? digest : ''
}

/** The client's own filters and `ns` stay; only the place to go on from is new (R67). */
function nextLink(
  urlPrefix: string,
  digest: string,
  next: { query: URLSearchParams; last: string },
): string {
  const query = new URLSearchParams()
  for (const type of next.query.getAll('artifactType')) query.append('artifactType', type)
  const namespace = next.query.get('ns')
  if (namespace !== null) query.set('ns', namespace)
  query.set('last', next.last)
  return `<${urlPrefix}/referrers/${digest}?${query.toString()}>; rel="next"`
}
