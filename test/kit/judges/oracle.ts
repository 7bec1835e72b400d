// Judges a data directory from outside: every blob's file is hashed again and compared with its
// name. Uses node:crypto and nothing of the product, whose own hashing is what is being judged.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

export interface Verdict {
  /** Blobs whose bytes are right. */
  readonly right: readonly string[]
  /** One sentence for each file that is not what its name says. */
  readonly wrong: readonly string[]
  readonly bytesRead: number
}

const HEX_LENGTH: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 }

/**
 * Reads everything under `blobs/<algorithm>/<2 hex>/<hex>`. A directory without `blobs/` has
 * nothing wrong in it.
 */
export async function judge(rootDirectory: string): Promise<Verdict> {
  const blobs = join(rootDirectory, 'blobs')
  const right: string[] = []
  const wrong: string[] = []
  let bytesRead = 0
  for (const path of await filesUnder(blobs)) {
    const fault = await faultOf(blobs, path)
    bytesRead += (await stat(path)).size
    if (fault === undefined) right.push(digestOfPath(blobs, path))
    else wrong.push(`${relative(rootDirectory, path)}: ${fault}`)
  }
  return { right, wrong, bytesRead }
}

/** SHA-256 of bytes as a digest, for judging what a client got. */
export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

async function filesUnder(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return []
      throw error
    },
  )
  return entries
    .filter(entry => !entry.isDirectory())
    .map(entry => join(entry.parentPath, entry.name))
}

function digestOfPath(blobs: string, path: string): string {
  const [algorithm = '', , hex = ''] = relative(blobs, path).split(sep)
  return `${algorithm}:${hex}`
}

async function faultOf(blobs: string, path: string): Promise<string | undefined> {
  const [algorithm = '', prefix = '', hex = '', ...more] = relative(blobs, path).split(sep)
  const length = HEX_LENGTH[algorithm]
  if (length === undefined || hex.length !== length || more.length > 0) return 'is not a blob name'
  if (!hex.startsWith(prefix) || prefix.length !== 2) return 'is in the wrong directory'
  const hash = createHash(algorithm)
  for await (const piece of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(piece as Buffer)
  }
  const found = hash.digest('hex')
  return found === hex ? undefined : `holds bytes whose digest is ${algorithm}:${found}`
}
