// An image layout that lies unpacked in a directory, as an archive: what belongs to a layout alone,
// in the order in which bundles are read. Links are not followed, so nothing from outside of the
// directory is sent.
import { createReadStream, existsSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { InventoryReader } from '../bundle/inventory-reader.ts'
import {
  blobName,
  digestOfName,
  INDEX_NAME,
  INVENTORY_NAME,
  LAYOUT_NAME,
} from '../bundle/layout.ts'
import { paddingOf, TAR_END_BYTES, tarHead } from '../bundle/tar-head.ts'
import { CliError, EXIT_CODES } from './context.ts'

interface LayoutFile {
  readonly name: string
  readonly path: string
  readonly sizeBytes: number
}

export interface DirectoryArchive {
  readonly pieces: AsyncIterable<Uint8Array>
  /** Of the files in it. */
  readonly totalBytes: number
}

/** @throws CliError for what is no layout; BundleFault for an inventory that is none */
export async function layoutOf(directory: string): Promise<DirectoryArchive> {
  const first = [LAYOUT_NAME, INDEX_NAME, INVENTORY_NAME].filter(name =>
    existsSync(join(directory, name)),
  )
  if (!first.includes(INDEX_NAME) || !first.includes(LAYOUT_NAME))
    throw refused(`${directory} is no image layout: it has no ${INDEX_NAME} or no ${LAYOUT_NAME}`)
  const manifests = await manifestsOf(join(directory, INVENTORY_NAME))
  const blobs = [...blobsIn(directory)]
  const sorted = [...first, ...blobs.filter(isOf(manifests)), ...blobs.filter(isNotOf(manifests))]
  const files = sorted.map(name => fileOf(directory, name))
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return { pieces: archiveOf(files), totalBytes }
}

const isOf = (names: ReadonlySet<string>) => (name: string) => names.has(name)
const isNotOf = (names: ReadonlySet<string>) => (name: string) => !names.has(name)

function* blobsIn(directory: string): Generator<string> {
  for (const algorithm of ['sha256', 'sha512'])
    if (existsSync(join(directory, 'blobs', algorithm)))
      for (const hex of readdirSync(join(directory, 'blobs', algorithm)).toSorted()) {
        const name = `blobs/${algorithm}/${hex}`
        if (digestOfName(name) !== undefined) yield name
      }
}

/** By the names that they have in it; none where no edge wrote the layout. */
async function manifestsOf(inventory: string): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  if (!existsSync(inventory)) return names
  const reader = new InventoryReader()
  for await (const piece of createReadStream(inventory) as AsyncIterable<Buffer>)
    for (const line of reader.push(piece))
      if ('content' in line && line.type !== undefined) names.add(blobName(line.content))
  return names
}

function fileOf(directory: string, name: string): LayoutFile {
  const path = join(directory, name)
  const status = lstatSync(path)
  if (!status.isFile()) throw refused(`${path} is no file: links are not followed`)
  return { name, path, sizeBytes: status.size }
}

async function* archiveOf(files: readonly LayoutFile[]): AsyncGenerator<Uint8Array> {
  for (const { name, path, sizeBytes } of files) {
    yield tarHead({ name, sizeBytes })
    let left = sizeBytes
    for await (const piece of createReadStream(path) as AsyncIterable<Buffer>) {
      left -= piece.length
      if (left < 0) break
      yield piece
    }
    if (left !== 0) throw refused(`${path} changes while it is read`)
    yield Buffer.alloc(paddingOf(sizeBytes))
  }
  yield Buffer.alloc(TAR_END_BYTES)
}

function refused(message: string): CliError {
  return new CliError(EXIT_CODES.failed, message)
}
