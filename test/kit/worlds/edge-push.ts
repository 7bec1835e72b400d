// Pushes to the whole edge: the steps that most protocol tests of pushes begin with, and a look at
// what is on disk then.
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { digestOf } from '../../../src/oci/digest.ts'
import type { TestEdge } from '../edge.ts'
import type { RawAnswer } from '../clients/raw-client.ts'
import { locationOf, withDigest } from '../clients/raw-push.ts'

/** For edges that ask nobody: nothing listens there. */
export const NO_UPSTREAM = { 'docker.io': { url: 'http://127.0.0.1:9' } }

/** POST; where the upload goes on. @throws when it was refused */
export async function beginUpload(edge: TestEdge, repository: string): Promise<string> {
  const answer = await edge.send('POST', `/v2/${repository}/blobs/uploads/`)
  if (answer.status !== 202) throw new Error(`${answer.status}: ${answer.body.toString()}`)
  return locationOf(answer)
}

/**
 * POST and one PUT with everything; the answer to the second.
 * @throws when the first was refused
 */
export async function pushBlob(
  edge: TestEdge,
  repository: string,
  body: Buffer,
): Promise<RawAnswer> {
  const location = await beginUpload(edge, repository)
  return edge.send('PUT', withDigest(location, digestOf(body)), { body })
}

/** All files under a directory of the data, by name. */
export async function filesIn(edge: TestEdge, directory: string): Promise<string[]> {
  const options = { recursive: true, withFileTypes: true } as const
  const entries = await readdir(join(edge.dataDirectory, directory), options)
  return entries.filter(entry => entry.isFile()).map(({ name }) => name)
}
