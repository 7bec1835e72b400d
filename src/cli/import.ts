// `import`: sends a bundle to the running server, which takes in all of it or nothing, and tells
// what became of each image.
import { createReadStream, statSync } from 'node:fs'
import { basename } from 'node:path'
import { BUNDLE_TYPE } from '../admin/carry-api.ts'
import type { FailedEvent } from '../admin/requests.ts'
import type { ImportEvent } from '../registry/carry/import-answers.ts'
import { commandClock } from '../server/clock.ts'
import { type AdminRequest, type AdminServer, followAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { unpacked } from './archive-source.ts'
import { type GivenArchive, givenArchives } from './given-files.ts'
import { layoutOf } from './layout-directory.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeCount, writeJson } from './output.ts'
import { assertWritable } from './output-file.ts'
import { lastOf, takeOwnOptions } from './own-options.ts'
import { createProgressBar } from './progress-bar.ts'
import { commandFor, saveInventory } from './receipt.ts'
import { requiredKeys } from './required-keys.ts'
import { show } from './show-import.ts'

export const help = `entrepot import FILE…|DIR|- [--receipt FILE] [--as NAME[:TAG]] [--dry-run] [--require-signature KEY]… [--json]

Brings in the images of a bundle that "entrepot export" wrote at another edge. All of it is verified, and stored, before the first
name leads to it: a bundle that is damaged, cut or not signed changes no name. Clients pull the images afterwards under the names
that they had there, also where their upstream is offline. What was imported is evicted never, until it is deleted or purged.

Also what other programs wrote, as a tar, packed by gzip or zstd, or not: OCI image layouts, and what "docker save" writes.
Nobody has signed that, which is told; where a signature is required it is refused.

  FILE                       the bundle; where there is FILE.001 instead, its volumes, which may be named each, in any order and from
                             several directories: by FILE.sums it is told before anything is taken which is missing or damaged. Of
                             several bundles each is taken or refused alone, in any order; - is standard input
  --receipt FILE             writes there what this edge has by then, signed: "entrepot export --since FILE" at the other edge sends
                             what is missing. For a bundle whose base is not here that is written as well, with the command to use
  DIR                        an OCI image layout that lies there unpacked
  --as NAME[:TAG]            what the image of another program's archive is to be called; without TAG each image keeps its own
  --dry-run                  verifies it, and says what would change
  --require-signature KEY    only a bundle that is signed by this key, as "entrepot key show" prints it, or by that in this file; may be
                             given more than once. Where the configuration has import.trustedkeys, it has to be one of those as well

A tag does not go back: what an older bundle of the same edge says of it is told and left. What was pushed here stays as well, and what an
upstream said that is asked here. An
import that was cut is gone on with by the same command: what is here by then is not written again.

${COMMON_HELP}

Exit codes: 0 imported, 1 not imported, with the reason, 2 wrong arguments, 69 the server is not running

Examples
  entrepot import images.tar
  docker save my-app:v1 | entrepot import -
  entrepot import layout/ --as docker.io/library/alpine:3
  ssh edge1 entrepot export docker.io/library/alpine:3 -o - | entrepot import -
`

const OWN = {
  as: { type: 'string' },
  receipt: { type: 'string' },
  'dry-run': { type: 'boolean' },
  'require-signature': { type: 'string' },
} as const

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const own = takeOwnOptions(args, OWN)
  const usage = 'entrepot import FILE…|DIR|-'
  const common = readCommon(own.rest, context, { least: 1, most: 10_000, usage, changes: true })
  const { server, json, positionals } = common
  if (server.kind === 'network')
    throw new CliError(EXIT_CODES.usage, 'import is for the machine of the edge: without --admin')
  const query = {
    'dry-run': own.has('dry-run') ? 'true' : undefined,
    key: requiredKeys('--require-signature', own.values['require-signature']),
    as: lastOf(own.values.as),
  }
  const archives = await givenArchives(positionals)
  const importing = { server, json, query, context }
  const receipt = lastOf(own.values.receipt)
  if (receipt !== undefined) await assertWritable(receipt)
  const { failures, lacking } = await importAll(archives, importing)
  if (receipt !== undefined) await writeReceipt(receipt, importing)
  for (const each of lacking) failures.push(await wayOutOf(each, receipt, importing))
  if (failures.length === 0) return EXIT_CODES.ok
  throw new CliError(EXIT_CODES.failed, failures.join('\n'))
}

interface Importing {
  readonly server: AdminServer
  readonly json: boolean
  readonly query: NonNullable<AdminRequest['query']>
  readonly context: CliContext
}

/** What it supposes is not here, and it was not imported. */
interface Lacking {
  readonly archive: GivenArchive
  readonly images: readonly string[]
  readonly message: string
}

/** One after the other; one whose base came behind it is tried once more. */
async function importAll(archives: readonly GivenArchive[], importing: Importing) {
  const failures: string[] = []
  const total = { kind: 'total', archives: 0, images: 0, written: 0, writtenBytes: 0 }
  let lacking: Lacking[] = []
  let waiting = archives
  for (let before = -1; waiting.length > 0 && total.archives > before; ) {
    before = total.archives
    lacking = []
    for (const archive of waiting) {
      const { imported, lacks, failure } = await importOne(archive, importing)
      if (lacks !== undefined) lacking.push({ archive, images: lacks, message: failure ?? '' })
      else if (failure !== undefined)
        failures.push(archives.length === 1 ? failure : `${archive.label}: ${failure}`)
      if (imported === undefined) continue
      total.archives += 1
      total.images += imported.images
      total.written += imported.written
      total.writtenBytes += imported.writtenBytes
    }
    waiting = lacking.map(({ archive }) => archive).filter(({ label }) => label !== '-')
  }
  if (archives.length > 1) tellTotal(total, archives.length, importing)
  return { failures, lacking }
}

function tellTotal(
  total: { archives: number; images: number; written: number; writtenBytes: number },
  of: number,
  { json, context }: Importing,
): void {
  if (json) return writeJson(context, { ...total, of })
  const { archives, images, written, writtenBytes } = total
  const what = `${describeCount(written, 'manifest or blob')}, ${describeBytes(writtenBytes)}`
  context.stdout.write(
    `${archives} of ${of} files imported: ${describeCount(images, 'image')}, ${what}\n`,
  )
}

interface Imported {
  readonly imported?: Extract<ImportEvent, { kind: 'imported' }>
  readonly lacks?: readonly string[]
  readonly failure?: string
}

async function importOne(archive: GivenArchive, importing: Importing): Promise<Imported> {
  const { server, json, query, context } = importing
  const source = await sourceOf(archive, context)
  const draw = context.isTerminal && !json ? createProgressBar(context, monotonicMs) : undefined
  const body = { type: BUNDLE_TYPE, pieces: told(unpacked(watched(source, draw)), source) }
  const wanted = { server, method: 'POST', path: '/import', query, body } as const
  let lacks: readonly string[] | undefined
  for await (const event of followAdmin<ImportEvent | FailedEvent>(wanted)) {
    if (event.kind === 'failed')
      return { failure: source.failure ?? event.message, ...(lacks && { lacks }) }
    if (event.kind === 'lacking') lacks = event.images
    if (json) writeJson(context, { ...event, file: archive.label })
    else show(event, context)
    if (event.kind === 'imported') return { imported: event }
  }
  return { failure: source.failure ?? 'the server did not say how it ended' }
}

async function writeReceipt(path: string, { server, json, context }: Importing): Promise<void> {
  const { end } = await saveInventory(server, path)
  if (json) return writeJson(context, { kind: 'receipt', file: path, ...end })
  const what = `${describeCount(end.images, 'image')}, ${describeBytes(end.bytes)}`
  context.stdout.write(`receipt of what is here: ${path}, ${what}\n`)
}

/** With what whoever made it needs to make one that can be used here. */
async function wayOutOf(
  { archive: { label }, images, message }: Lacking,
  given: string | undefined,
  importing: Importing,
): Promise<string> {
  const name = label === '-' ? 'images.tar' : label
  const receipt = given ?? `${name}.receipt`
  if (given === undefined) await writeReceipt(receipt, importing)
  const command = commandFor(images, receipt, basename(name))
  return `${label}: ${message}\n  at the edge that made it, with the same platforms: ${command}`
}

const monotonicMs = () => commandClock.monotonicMs()

interface Source {
  readonly label: string
  readonly pieces: AsyncIterable<Uint8Array>
  /** Undefined: nobody knows. */
  readonly totalBytes: number | undefined
  /** Why it could not be read. */
  failure?: string
}

/** @throws CliError where it is none */
async function sourceOf({ label, files }: GivenArchive, context: CliContext): Promise<Source> {
  if (label === '-')
    return { label: 'standard input', pieces: context.stdin(), totalBytes: undefined }
  if (statSync(label, { throwIfNoEntry: false })?.isDirectory() === true)
    return { label, ...(await layoutOf(label)) }
  const totalBytes = files.reduce((sum, file) => sum + statSync(file).size, 0)
  return { label, pieces: reading(files), totalBytes }
}

async function* reading(files: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const file of files) yield* createReadStream(file) as AsyncIterable<Uint8Array>
}

/** The same bytes, drawn as they go. */
async function* watched(
  source: Source,
  draw: ReturnType<typeof createProgressBar> | undefined,
): AsyncGenerator<Uint8Array> {
  const { label, totalBytes } = source
  let doneBytes = 0
  for await (const piece of source.pieces) {
    doneBytes += piece.length
    yield piece
    if (totalBytes !== undefined) draw?.({ label, doneBytes, totalBytes })
  }
}

/** Of no archive, wherever it stands: what the server has by then is not taken for a whole one. */
const CUT = Buffer.from('cut')

/** The same bytes; why they end early is known here alone, and the server cannot say it. */
async function* told(
  pieces: AsyncIterable<Uint8Array>,
  source: Source,
): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    source.failure = `no name was imported: ${source.label} cannot be read: ${why}`
    yield CUT
  }
}
