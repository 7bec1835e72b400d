// Every form of request that could tell something of a repository, as it is asked of one, and what
// is right to give to whoever may ask it.
import type { Content } from '../content.ts'
import type { Document, Image } from '../image.ts'
import type { Right } from '../judges/access-model.ts'
import type { ThreadAnswer } from '../clients/thread-clients.ts'

/** What a form is asked of. */
export interface Place {
  /** Canonical: `docker.io/team/app`. */
  readonly repository: string
  /** Undefined: nothing is there. */
  readonly content: PlaceContent | undefined
  /** Was its own deleted, and what it shares with others left? Default false. */
  readonly isCut?: boolean
  /** Digests that forms ask for where nothing is there; the same as where there is something. */
  readonly asked: PlaceContent
  /** Where an upload goes on. */
  readonly upload: string
}

export interface PlaceContent {
  /** Of this repository alone, under `own`. */
  readonly own: Image
  /** Of every repository, under `v1`. */
  readonly common: Image
  /** About `common`, in this repository alone. */
  readonly about: Image
  /** Of this repository alone; goes out by the kernel. */
  readonly large: Content
  readonly tags: readonly string[]
}

export interface Form {
  readonly name: string
  readonly method: string
  /** Behind the name of the repository. */
  readonly rest: (place: Place) => string
  readonly right: Right
  /** Is it answered from memory or an open file, which each thread has its own of? */
  readonly isOnEach?: boolean
  readonly headers?: Readonly<Record<string, string>>
  /** Comes over a connection of its own, which a refusal of it ends. */
  readonly body?: (place: Place) => Uint8Array
  /** Is it what whoever may read is to be given? Of a write: nothing is asked of who may. */
  readonly isRight?: (answer: ThreadAnswer, content: PlaceContent) => boolean
}

const isDocument = (answer: ThreadAnswer, { bytes, digest }: Document) =>
  answer.status === 200 && answer.body.equals(bytes) && headIs(answer, bytes.length, digest)
const isHeadOf = (answer: ThreadAnswer, sizeBytes: number, digest: string) =>
  answer.status === 200 && answer.body.length === 0 && headIs(answer, sizeBytes, digest)
const isPart = (answer: ThreadAnswer, content: Content, [first, last]: readonly [number, number]) =>
  answer.status === 206 &&
  answer.headers['content-range'] === `bytes ${first}-${last}/${content.sizeBytes}` &&
  answer.body.equals(content.read(first, last - first + 1))

function headIs({ headers }: ThreadAnswer, sizeBytes: number, digest: string): boolean {
  const isLong = headers['content-length'] === String(sizeBytes)
  return isLong && headers['docker-content-digest'] === digest
}

/** One part for each of the ranges, and no byte that is in none. */
function areParts(answer: ThreadAnswer, ranges: readonly Buffer[]): boolean {
  const sizeBytes = ranges.reduce((sum, { length }) => sum + length, 0)
  const isMulti = String(answer.headers['content-type']).startsWith('multipart/byteranges')
  const overhead = 400 * ranges.length
  return (
    answer.status === 206 &&
    isMulti &&
    answer.body.length < sizeBytes + overhead &&
    ranges.every(range => answer.body.includes(range))
  )
}

function digestsIn({ status, body }: ThreadAnswer): unknown {
  if (status !== 200) return status
  const { manifests } = JSON.parse(String(body)) as { manifests: { digest: string }[] }
  return JSON.stringify(manifests.map(({ digest }) => digest))
}

function tagsIn({ status, body }: ThreadAnswer): unknown {
  if (status !== 200) return status
  return JSON.stringify((JSON.parse(String(body)) as { tags: string[] }).tags)
}

const manifestOf = ({ asked }: Place) => `manifests/${asked.own.manifest.digest}`
const configOf = ({ asked }: Place) => `blobs/${asked.own.config.digest}`
const largeOf = ({ asked }: Place) => `blobs/${asked.large.digest}`
const commonOf = ({ asked }: Place) => asked.common.manifest.digest

const READS: readonly Omit<Form, 'right'>[] = [
  {
    name: 'GET a tag',
    isOnEach: true,
    method: 'GET',
    rest: () => 'manifests/own',
    isRight: (answer, { own }) => isDocument(answer, own.manifest),
  },
  {
    name: 'HEAD a tag',
    method: 'HEAD',
    rest: () => 'manifests/own',
    isRight: (answer, { own: { manifest } }) =>
      isHeadOf(answer, manifest.bytes.length, manifest.digest),
  },
  {
    name: 'GET a manifest that all have',
    method: 'GET',
    rest: () => 'manifests/v1',
    isRight: (answer, { common }) => isDocument(answer, common.manifest),
  },
  {
    name: 'GET a manifest',
    isOnEach: true,
    method: 'GET',
    rest: manifestOf,
    isRight: (answer, { own }) => isDocument(answer, own.manifest),
  },
  {
    name: 'HEAD a manifest',
    isOnEach: true,
    method: 'HEAD',
    rest: manifestOf,
    isRight: (answer, { own: { manifest } }) =>
      isHeadOf(answer, manifest.bytes.length, manifest.digest),
  },
  {
    name: 'GET a blob',
    isOnEach: true,
    method: 'GET',
    rest: configOf,
    isRight: (answer, { own: { config } }) =>
      answer.status === 200 &&
      answer.body.equals(config.bytes()) &&
      headIs(answer, config.sizeBytes, config.digest),
  },
  {
    name: 'HEAD a blob',
    method: 'HEAD',
    rest: configOf,
    isRight: (answer, { own: { config } }) => isHeadOf(answer, config.sizeBytes, config.digest),
  },
  {
    name: 'GET a blob that all have',
    method: 'GET',
    rest: ({ asked }) => `blobs/${asked.common.config.digest}`,
    isRight: (answer, { common }) => answer.body.equals(common.config.bytes()),
  },
  {
    name: 'GET a large blob',
    isOnEach: true,
    method: 'GET',
    rest: largeOf,
    isRight: (answer, { large }) =>
      answer.status === 200 && answer.body.equals(large.read(0, large.sizeBytes)),
  },
  {
    name: 'HEAD a large blob',
    method: 'HEAD',
    rest: largeOf,
    isRight: (answer, { large }) => isHeadOf(answer, large.sizeBytes, large.digest),
  },
  {
    name: 'a range',
    method: 'GET',
    rest: largeOf,
    headers: { range: 'bytes=1000-1999' },
    isRight: (answer, { large }) => isPart(answer, large, [1_000, 1_999]),
  },
  {
    name: 'the end',
    method: 'GET',
    rest: largeOf,
    headers: { range: 'bytes=-100' },
    isRight: (answer, { large }) =>
      isPart(answer, large, [large.sizeBytes - 100, large.sizeBytes - 1]),
  },
  {
    name: 'a range past the end',
    method: 'GET',
    rest: largeOf,
    headers: { range: 'bytes=999999999-' },
    isRight: answer => answer.status === 416,
  },
  {
    name: 'several ranges',
    method: 'GET',
    rest: largeOf,
    headers: { range: 'bytes=0-99,5000-5099' },
    isRight: (answer, { large }) => areParts(answer, [large.read(0, 100), large.read(5_000, 100)]),
  },
  {
    name: 'a manifest that changed',
    method: 'GET',
    rest: manifestOf,
    headers: { 'if-none-match': '"sha256:0"' },
    isRight: (answer, { own }) => isDocument(answer, own.manifest),
  },
  {
    name: 'tags',
    method: 'GET',
    rest: () => 'tags/list',
    isRight: (answer, { tags }) => tagsIn(answer) === JSON.stringify(tags),
  },
  {
    name: 'a page of tags',
    method: 'GET',
    rest: () => 'tags/list?n=1',
    isRight: (answer, { tags }) => tagsIn(answer) === JSON.stringify(tags.slice(0, 1)),
  },
  {
    name: 'referrers',
    method: 'GET',
    rest: place => `referrers/${commonOf(place)}`,
    isRight: (answer, { about }) => digestsIn(answer) === JSON.stringify([about.manifest.digest]),
  },
  {
    name: 'referrers of a kind',
    method: 'GET',
    rest: place => `referrers/${commonOf(place)}?artifactType=application/x.none`,
    isRight: answer => digestsIn(answer) === '[]',
  },
]

const octets = { 'content-type': 'application/octet-stream' }
const json = { 'content-type': 'application/vnd.oci.image.manifest.v1+json' }
const manifestBytes = ({ asked }: Place) => asked.own.manifest.bytes
const configBytes = ({ asked }: Place) => asked.own.config.bytes()
const idOf = ({ upload }: Place) => upload

/** None of them changes anything that reads are about. */
const WRITES: readonly Form[] = [
  { name: 'upload', method: 'POST', rest: () => 'blobs/uploads/', right: 'push' },
  {
    name: 'mount',
    method: 'POST',
    rest: ({ asked }) => `blobs/uploads/?mount=${asked.own.config.digest}&from=docker.io/team/app`,
    right: 'push',
  },
  { name: 'chunk', method: 'PATCH', rest: idOf, headers: octets, right: 'push' },
  { name: 'state of an upload', method: 'GET', rest: idOf, right: 'push' },
  { name: 'end of an upload', method: 'DELETE', rest: idOf, right: 'push' },
  {
    name: 'PUT a manifest',
    method: 'PUT',
    rest: () => 'manifests/own',
    headers: json,
    right: 'push',
  },
  {
    name: 'PUT a manifest with its bytes',
    method: 'PUT',
    rest: () => 'manifests/own',
    headers: json,
    body: manifestBytes,
    right: 'push',
  },
  {
    name: 'a blob at once',
    method: 'POST',
    rest: ({ asked }) => `blobs/uploads/?digest=${asked.own.config.digest}`,
    headers: octets,
    body: configBytes,
    right: 'push',
  },
  {
    name: 'a chunk with its bytes',
    method: 'PATCH',
    rest: idOf,
    headers: octets,
    body: configBytes,
    right: 'push',
  },
  {
    name: 'the last chunk, with its bytes',
    method: 'PUT',
    rest: place => `${idOf(place)}?digest=${place.asked.own.config.digest}`,
    headers: octets,
    body: configBytes,
    right: 'push',
  },
  { name: 'DELETE a tag', method: 'DELETE', rest: () => 'manifests/own', right: 'delete' },
  { name: 'DELETE a manifest', method: 'DELETE', rest: manifestOf, right: 'delete' },
  { name: 'DELETE a blob', method: 'DELETE', rest: configOf, right: 'delete' },
]

export const FORMS: readonly Form[] = [
  ...READS.map(form => ({ ...form, right: 'pull' as const })),
  ...WRITES,
]

/** How a client may say which repository it means (R26). */
export const SPELLINGS = ['path', 'ns', 'prefix', 'virtual host'] as const
export type Spelling = (typeof SPELLINGS)[number]

export interface Spelled {
  /** The canonical name of what is meant. */
  readonly repository: string
  readonly path: string
  /** Undefined: the asker's own. */
  readonly host: string | undefined
}

export function spell(repository: string, rest: string, spelling: Spelling): Spelled {
  const slash = repository.indexOf('/')
  const [registry, name] = [repository.slice(0, slash), repository.slice(slash + 1)]
  const plain = { repository, path: `/v2/${repository}/${rest}`, host: undefined }
  switch (spelling) {
    case 'path':
      return plain
    case 'ns': {
      const mark = rest.includes('?') ? '&' : '?'
      return { repository, path: `/v2/${name}/${rest}${mark}ns=${registry}`, host: undefined }
    }
    case 'prefix':
      return { repository, path: `/${registry}/v2/${name}/${rest}`, host: undefined }
    case 'virtual host': {
      const host = VIRTUAL_HOSTS[registry]
      return host === undefined ? plain : { repository, path: `/v2/${name}/${rest}`, host }
    }
  }
}

/** By registry. */
export const VIRTUAL_HOSTS: Readonly<Record<string, string>> = {
  'docker.io': 'hub.example',
  'quay.io': 'quay.example',
}

/**
 * What may not differ: everything but what each answer has of its own, and what a client said
 * itself, its name for the repository and for the edge.
 */
export function compared(answer: ThreadAnswer, said: Spelled & { readonly calledAs: string }) {
  const { status, rawHeaders, body } = answer
  const name = /\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(said.path)?.[1] ?? ' '
  const lines = rawHeaders.flatMap((key, at) => {
    const isOwn = key === 'Date' || key === 'X-Request-Id'
    if (at % 2 === 1 || isOwn) return []
    const value = rawHeaders[at + 1] ?? ''
    if (key === 'Docker-Upload-UUID') return [`${key}: UPLOAD`]
    const without = value
      .replaceAll(said.calledAs, 'EDGE')
      .replaceAll(`:${said.repository}:`, ':NAME:')
      .replaceAll(`:${name}:`, ':NAME:')
    return [`${key}: ${without.replace(/\/v2\/.*\/blobs\/uploads\/[^?]+/, 'UPLOAD')}`]
  })
  // Whoever is told of a digest has said it.
  const text = body.toString('latin1').replace(/sha256:[0-9a-f]{64}/g, 'DIGEST')
  return JSON.stringify([status, lines, status < 400 ? body.toString('latin1') : text])
}
