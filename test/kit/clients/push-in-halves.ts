// Pushes one image as a client does, each body in two halves, and says at every step how far it is.
// It neither retries nor asks first.
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import type { Content } from '../content.ts'
import type { SmallManifest } from './push-client.ts'
import { withDigest } from './raw-push.ts'

export type ClientStep =
  | 'a blob half sent'
  | 'a blob sent, not answered'
  | 'a blob answered'
  | 'a manifest half sent'
  | 'a manifest sent, not answered'
  | 'a manifest answered'

/** What is pushed, in this order and the manifest last. */
export interface HalvableImage {
  readonly blobs: readonly Pick<Content, 'digest' | 'bytes'>[]
  readonly manifest: SmallManifest
}

export interface PushTarget {
  /** Of the data port. */
  readonly url: string
  /** As clients write it. */
  readonly repository: string
  readonly tag: string
  readonly at: (step: ClientStep) => void
}

/** `gone`: the connection broke before the last answer. A refusal as one line of text. */
export type PushEnd =
  | { readonly kind: 'acknowledged' | 'gone' }
  | { readonly kind: 'refused'; readonly why: string }

/** Never rejects. */
export async function pushInHalves(image: HalvableImage, target: PushTarget): Promise<PushEnd> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  try {
    for (const blob of image.blobs) {
      const refused = await pushBlob(blob, target, agent)
      if (refused !== undefined) return refused
    }
    return (await pushManifest(image, target, agent)) ?? { kind: 'acknowledged' }
  } catch {
    return { kind: 'gone' }
  } finally {
    agent.destroy()
  }
}

async function pushBlob(
  { digest, bytes }: HalvableImage['blobs'][number],
  { url, repository, at }: PushTarget,
  agent: Agent,
): Promise<PushEnd | undefined> {
  const begun = await send(agent, {
    method: 'POST',
    url: new URL(`/v2/${repository}/blobs/uploads/`, url),
  })
  if (begun.status !== 202) return refusal('POST of an upload', begun)
  // What stands in it goes back as it is.
  const answer = await send(agent, {
    method: 'PUT',
    url: new URL(withDigest(begun.location, digest), url),
    body: bytes(),
    half: () => at('a blob half sent'),
    whole: () => at('a blob sent, not answered'),
  })
  if (answer.status !== 201) return refusal('PUT of a blob', answer)
  at('a blob answered')
  return undefined
}

async function pushManifest(
  { manifest }: HalvableImage,
  { url, repository, tag, at }: PushTarget,
  agent: Agent,
): Promise<PushEnd | undefined> {
  const answer = await send(agent, {
    method: 'PUT',
    url: new URL(`/v2/${repository}/manifests/${tag}`, url),
    body: manifest.bytes,
    mediaType: manifest.mediaType,
    half: () => at('a manifest half sent'),
    whole: () => at('a manifest sent, not answered'),
  })
  if (answer.status !== 201) return refusal('PUT of a manifest', answer)
  at('a manifest answered')
  return undefined
}

interface Sent {
  readonly method: string
  readonly url: URL
  readonly body?: Buffer
  readonly mediaType?: string
  readonly half?: () => void
  readonly whole?: () => void
}

interface Answer {
  readonly status: number
  readonly location: string
  readonly text: string
}

/**
 * The kernel has taken the half, and the whole, when that is told.
 * @throws when the connection breaks
 */
async function send(agent: Agent, sent: Sent): Promise<Answer> {
  const { method, url, body = Buffer.of(), mediaType = 'application/octet-stream' } = sent
  const headers = { 'content-length': body.length, 'content-type': mediaType }
  const outgoing = request(url, { method, agent, headers })
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
  // It is waited for below, after what is written: a connection that breaks meanwhile is not
  // unheard of.
  answered.catch(() => {})
  const middle = Math.ceil(body.length / 2)
  outgoing.write(body.subarray(0, middle), error => {
    if (error) return
    sent.half?.()
    outgoing.end(body.subarray(middle), () => sent.whole?.())
  })
  const [response] = await answered
  const chunks: Buffer[] = []
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
  return {
    status: response.statusCode ?? 0,
    location: response.headers.location ?? '',
    text: Buffer.concat(chunks).toString(),
  }
}

function refusal(what: string, { status, text }: Answer): PushEnd {
  return { kind: 'refused', why: `${what}: ${status} ${text}` }
}
