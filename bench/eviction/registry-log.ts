// Reads the logs of production registries that IBM published (Anwar et al., FAST '18; SNIA IOTTA):
// files that are an array of requests each, names hashed. What a manifest lists is not in them. So
// an image has the blobs that clients fetched from its repository after its manifest, each before
// it asked for another manifest there, and at most ten minutes later; whoever had some of them
// already shows in what others fetched. Pushes are left out. Sizes are the most that was written.
import { readFileSync } from 'node:fs'
import { UPSTREAMS, type Image } from './registry.ts'
import type { Pull, Trace } from './trace.ts'

/** One request, of which the log says more. */
export interface LoggedRequest {
  readonly timestamp: string
  readonly 'http.request.method': string
  /** `v2/<name>/manifests/<reference>`, or `blobs` and a digest, each part of it hashed. */
  readonly 'http.request.uri': string
  readonly 'http.request.remoteaddr': string
  readonly 'http.response.status': number
  readonly 'http.response.written': number
}

const URI = /^\/?v2\/(?<name>.+)\/(?<kind>manifests|blobs)\/(?<reference>[^/?]+)$/
const PULL_MS = 600_000
/** The first part of the log fills the cache. */
const COUNTED_FROM_SHARE = 0.2

export function readRegistryLog(files: readonly string[]): Trace {
  const requests = files.flatMap(file => JSON.parse(readFileSync(file, 'utf8')) as LoggedRequest[])
  return traceOfRequests(requests)
}

interface Session {
  readonly image: number
  readonly atMs: number
  readonly asked: Set<number>
}

export function traceOfRequests(requests: readonly LoggedRequest[]): Trace {
  const names = new Map<string, number>()
  const sizes: number[] = []
  const images: (Image & { blobs: number[] })[] = []
  const sessions: Session[] = []
  const open = new Map<string, Session>()
  const blobOf = (name: string, bytes: number) => {
    const blob = numberOf(names, name)
    sizes[blob] = Math.max(sizes[blob] ?? 1, bytes)
    return blob
  }
  const imageNames = new Map<string, number>()
  for (const request of requests.toSorted(byTime)) {
    const read = readRequest(request)
    if (read === undefined) continue
    const { name, kind, reference, client, atMs, bytes, isGet } = read
    const key = `${client} ${name}`
    if (kind === 'manifests') {
      const image = numberOf(imageNames, `${name}:${reference}`)
      const manifest = blobOf(`${name}:${reference}`, isGet ? bytes : 1)
      images[image] ??= { blobs: [manifest], manifest, tag: image, upstream: 0 }
      const session = { image, atMs, asked: new Set<number>() }
      if (isGet) open.set(key, session)
      sessions.push(session)
    } else if (isGet) {
      const session = open.get(key)
      if (session !== undefined && atMs - session.atMs <= PULL_MS)
        session.asked.add(blobOf(reference, bytes))
    }
  }
  for (const { image, asked } of sessions) {
    const blobs = images[image]?.blobs ?? []
    for (const blob of asked) if (!blobs.includes(blob)) blobs.push(blob)
  }
  const pulls = sessions.map(
    ({ image, atMs, asked }): Pull => ({ atMs, image, byTag: false, asked: [...asked], by: 'use' }),
  )
  const [first, last] = [pulls[0]?.atMs ?? 0, pulls.at(-1)?.atMs ?? 0]
  return {
    name: 'registry log',
    registry: { upstreams: UPSTREAMS, images, sizes },
    pulls,
    countedFromMs: first + (last - first) * COUNTED_FROM_SHARE,
  }
}

function readRequest(request: LoggedRequest) {
  const method = request['http.request.method']
  const { name, kind, reference } = URI.exec(request['http.request.uri'])?.groups ?? {}
  const status = request['http.response.status']
  if (name === undefined || kind === undefined || reference === undefined) return undefined
  if ((method !== 'GET' && method !== 'HEAD') || status >= 400) return undefined
  return {
    name,
    kind,
    reference,
    client: request['http.request.remoteaddr'],
    atMs: Date.parse(request.timestamp),
    bytes: request['http.response.written'],
    isGet: method === 'GET',
  }
}

function byTime(one: LoggedRequest, other: LoggedRequest): number {
  return Date.parse(one.timestamp) - Date.parse(other.timestamp)
}

function numberOf(names: Map<string, number>, name: string): number {
  const known = names.get(name)
  if (known !== undefined) return known
  names.set(name, names.size)
  return names.size - 1
}
