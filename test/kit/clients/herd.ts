// Many clients at once on one cold image or blob, each at its own speed, each counting and (some)
// hashing what it gets.
import { createHash } from 'node:crypto'
import type { Content } from '../content.ts'
import { HerdConnection } from './herd-connection.ts'
import type { Image } from '../image.ts'
import { get } from './raw-client.ts'
import { createBarrier } from '../stubs/stub-faults.ts'
import type { StubRegistry } from '../stubs/stub-registry.ts'

export interface Got {
  readonly status: number
  readonly complete: boolean
  readonly bodyBytes: number
  /** Undefined when the client was told not to hash. */
  readonly digest: string | undefined
}

export interface Download {
  readonly url: string
  /** Hashing twenty gigabytes takes longer than moving them: large herds hash a sample. */
  readonly hash: boolean
  /** Called once, when the first bytes of the body are there. */
  readonly onFirstBytes?: () => void
  /** Of the body only the first bytes are taken before this. */
  readonly goOn?: Promise<unknown>
  /** One to use again, as container engines do; default one for this download. */
  readonly connection?: HerdConnection
}

/** Downloads one blob, without keeping it. @throws when no connection can be made */
export async function download(wanted: Download): Promise<Got> {
  const { url, hash, onFirstBytes, goOn, connection = new HerdConnection(url) } = wanted
  const running = hash ? createHash('sha256') : undefined
  let started = false
  const { status, complete, bodyBytes } = await connection.get(new URL(url).pathname, piece => {
    running?.update(piece)
    if (started) return undefined
    started = true
    onFirstBytes?.()
    return goOn
  })
  if (wanted.connection === undefined) connection.close()
  const digest = running === undefined ? undefined : `sha256:${running.digest('hex')}`
  return { status, complete, bodyBytes, digest }
}

/**
 * `clients` downloads of one blob at once; `allStarted` resolves when every one of them holds its
 * first bytes, and more than these they take after `goOn`.
 */
export function stampede(
  url: string,
  {
    clients,
    hashEvery = 1,
    goOn,
  }: { clients: number; hashEvery?: number; goOn?: Promise<unknown> },
) {
  const allStarted = Promise.withResolvers<void>()
  let started = 0
  const onFirstBytes = () => {
    started += 1
    if (started === clients) allStarted.resolve()
  }
  const all = Promise.all(
    Array.from({ length: clients }, (_, index) =>
      download({
        url,
        hash: index % hashEvery === 0,
        onFirstBytes,
        ...(goOn === undefined ? {} : { goOn }),
      }),
    ),
  )
  return { allStarted: allStarted.promise, all }
}

/**
 * A stampede on a blob of `library/NAME` that the stub holds back half-way: resolves when every
 * client holds its first bytes; the rest comes after `release`.
 */
export async function stampedeHalfWay(
  { stub, edge }: { readonly stub: StubRegistry; readonly edge: { readonly url: string } },
  { name, blob, ...herd }: { name: string; blob: Content; clients: number; hashEvery?: number },
) {
  stub.addBlob(`library/${name}`, blob)
  const barrier = createBarrier(blob.sizeBytes / 2)
  stub.fault({ kind: 'blob', method: 'GET', digest: blob.digest }, { barrier })
  const { all, allStarted } = stampede(`${edge.url}/v2/library/${name}/blobs/${blob.digest}`, herd)
  await Promise.all([barrier.reached, allStarted])
  return { all, release: barrier.release }
}

/**
 * As a container engine pulls: the manifest by tag and by digest, then the blobs, `atOnce` at a
 * time over connections that it keeps.
 */
export async function pullImage(
  base: string,
  { tag, image, hash, atOnce }: { tag: string; image: Image; hash: boolean; atOnce: number },
): Promise<readonly string[]> {
  const faults: string[] = []
  const accept = { accept: image.manifest.mediaType }
  await get(`${base}/manifests/${tag}`, accept, { method: 'HEAD' })
  const manifest = await get(`${base}/manifests/${image.manifest.digest}`, accept)
  if (!manifest.body.equals(image.manifest.bytes)) faults.push(`manifest: ${manifest.status}`)
  const queue = [image.config, ...image.layers]
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      const connection = new HerdConnection(base)
      for (let blob = queue.shift(); blob !== undefined; blob = queue.shift()) {
        const got = await download({ url: `${base}/blobs/${blob.digest}`, hash, connection })
        const fault = faultOf(got, blob)
        if (fault !== undefined) faults.push(fault)
      }
      connection.close()
    }),
  )
  return faults
}

/** What is wrong with what a client got; undefined when nothing is. */
export function faultOf(got: Got, blob: Content): string | undefined {
  const { status, complete, bodyBytes, digest = blob.digest } = got
  if (status !== 200) return `status ${status}`
  if (!complete || bodyBytes !== blob.sizeBytes) return `${bodyBytes} of ${blob.sizeBytes} bytes`
  return digest === blob.digest ? undefined : `the bytes are those of ${digest}`
}

/** Bytes of the content that were asked for more than once, and those never asked for. */
export function askedTwiceOrNever(
  ranges: readonly (readonly [first: number, last: number])[],
  sizeBytes: number,
): { readonly twiceBytes: number; readonly neverBytes: number } {
  let coveredTo = 0
  let twiceBytes = 0
  let neverBytes = 0
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    neverBytes += Math.max(0, first - coveredTo)
    twiceBytes += Math.max(0, Math.min(coveredTo, last + 1) - first)
    coveredTo = Math.max(coveredTo, last + 1)
  }
  return { twiceBytes, neverBytes: neverBytes + Math.max(0, sizeBytes - coveredTo) }
}
