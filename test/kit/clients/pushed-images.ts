// Images pushed to a whole edge, and pulled from it, as clients do: blobs, children, then the
// manifest by its tag.
import type { Image } from '../image.ts'
import type { RawAnswer, SentRequest } from './raw-client.ts'
import { locationOf, withDigest } from './raw-push.ts'

export interface Sender {
  send(method: string, path: string, request?: SentRequest): Promise<RawAnswer>
}

/** Acknowledged when it resolves. `reference`: default its digest. @throws when it was refused */
export async function pushTo(
  edge: Sender,
  repository: string,
  image: Image,
  reference: string = image.manifest.digest,
): Promise<void> {
  for (const child of image.children) await pushTo(edge, repository, child)
  const blobs = image.children.length > 0 ? [] : [image.config, ...image.layers]
  for (const blob of blobs) {
    const begun = await edge.send('POST', `/v2/${repository}/blobs/uploads/`)
    if (begun.status !== 202) throw new Error(`${begun.status}: ${begun.body.toString()}`)
    const path = withDigest(locationOf(begun), blob.digest)
    const put = await edge.send('PUT', path, { body: Buffer.from(blob.bytes()) })
    if (put.status !== 201) throw new Error(`${put.status}: ${put.body.toString()}`)
  }
  const { mediaType, bytes } = image.manifest
  const put = await edge.send('PUT', `/v2/${repository}/manifests/${reference}`, {
    headers: { 'content-type': mediaType },
    body: bytes,
  })
  if (put.status !== 201) throw new Error(`${put.status}: ${put.body.toString()}`)
}

/** `whole`: every byte of it, by this reference, is what was pushed. */
export async function pulledFrom(
  edge: Sender,
  repository: string,
  image: Image,
  reference: string = image.manifest.digest,
): Promise<'whole' | 'none' | 'wrong' | 'half'> {
  const headers = { accept: image.manifest.mediaType }
  const answer = await edge.send('GET', `/v2/${repository}/manifests/${reference}`, { headers })
  if (answer.status === 404) return 'none'
  if (!answer.body.equals(image.manifest.bytes)) return 'wrong'
  for (const child of image.children)
    if ((await pulledFrom(edge, repository, child)) !== 'whole') return 'half'
  for (const blob of image.children.length > 0 ? [] : [image.config, ...image.layers]) {
    const { status, body } = await edge.send('GET', `/v2/${repository}/blobs/${blob.digest}`)
    if (status !== 200 || !body.equals(Buffer.from(blob.bytes()))) return 'half'
  }
  return 'whole'
}
