// `import`: sends a bundle to the running server, which takes in all of it or nothing, and tells
// what became of each image.
import { createReadStream, existsSync, statSync } from 'node:fs'
import { BUNDLE_TYPE } from '../admin/carry-api.ts'
import type { FailedEvent } from '../admin/requests.ts'
import type { ImportEvent } from '../registry/carry/import-answers.ts'
import { commandClock } from '../server/clock.ts'
import { followAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { unpacked } from './archive-source.ts'
import { layoutOf } from './layout-directory.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeCount, shortDigest, writeJson } from './output.ts'
import { lastOf, takeOwnOptions } from './own-options.ts'
import { createProgressBar } from './progress-bar.ts'
import { requiredKeys } from './required-keys.ts'

export const help = `entrepot import FILE|DIR|- [--as NAME[:TAG]] [--dry-run] [--require-signature KEY]… [--json]

Brings in the images of a bundle that "entrepot export" wrote at another edge. All of it is verified, and stored, before the first
name leads to it: a bundle that is damaged, cut or not signed changes no name. Clients pull the images afterwards under the names
that they had there, also where their upstream is offline. What was imported is evicted never, until it is deleted or purged.

Also what other programs wrote, as a tar, packed by gzip or zstd, or not: OCI image layouts, and what "docker save" writes.
Nobody has signed that, which is told; where a signature is required it is refused.

  FILE                       the bundle; where there is FILE.001 instead, its volumes; - is standard input
  DIR                        an OCI image layout that lies there unpacked
  --as NAME[:TAG]            what the image of another program's archive is to be called; without TAG each image keeps its own
  --dry-run                  verifies it, and says what would change
  --require-signature KEY    only a bundle that is signed by this key, as "entrepot key show" prints it, or by that in this file; may be
                             given more than once. Where the configuration has import.trustedkeys, it has to be one of those as well

A tag does not go back: what an older bundle of the same edge says of it is told and left. What was pushed here stays as well. An
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
  'dry-run': { type: 'boolean' },
  'require-signature': { type: 'string' },
} as const

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const own = takeOwnOptions(args, OWN)
  const usage = 'entrepot import FILE|DIR|-'
  const common = readCommon(own.rest, context, { least: 1, most: 1, usage, changes: true })
  const { server, json, positionals } = common
  if (server.kind === 'network')
    throw new CliError(EXIT_CODES.usage, 'import is for the machine of the edge: without --admin')
  const [path = ''] = positionals
  const query = {
    'dry-run': own.has('dry-run') ? 'true' : undefined,
    key: requiredKeys('--require-signature', own.values['require-signature']),
    as: lastOf(own.values.as),
  }
  const source = await sourceOf(path, context)
  const draw = context.isTerminal && !json ? createProgressBar(context, monotonicMs) : undefined
  const body = { type: BUNDLE_TYPE, pieces: told(unpacked(watched(source, draw)), source) }
  const wanted = { server, method: 'POST', path: '/import', query, body } as const
  let isOver = false
  for await (const event of followAdmin<ImportEvent | FailedEvent>(wanted)) {
    if (event.kind === 'failed')
      throw new CliError(EXIT_CODES.failed, source.failure ?? event.message)
    if (event.kind === 'imported') isOver = true
    if (json) writeJson(context, event)
    else show(event, context)
  }
  if (isOver) return EXIT_CODES.ok
  throw new CliError(EXIT_CODES.failed, source.failure ?? 'the server did not say how it ended')
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

/** @throws CliError where there is none */
async function sourceOf(path: string, context: CliContext): Promise<Source> {
  if (path === '-')
    return { label: 'standard input', pieces: context.stdin(), totalBytes: undefined }
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true)
    return { label: path, ...(await layoutOf(path)) }
  const files = filesOf(path)
  const totalBytes = files.reduce((sum, file) => sum + statSync(file).size, 0)
  return { label: path, pieces: reading(files), totalBytes }
}

function filesOf(path: string): readonly string[] {
  if (existsSync(path)) return [path]
  const volumes: string[] = []
  const volume = () => `${path}.${String(volumes.length + 1).padStart(3, '0')}`
  while (existsSync(volume())) volumes.push(volume())
  if (volumes.length > 0) return volumes
  throw new CliError(EXIT_CODES.failed, `there is no ${path}, and no ${volume()}`)
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

function show(event: ImportEvent, { stdout, stderr }: CliContext): void {
  switch (event.kind) {
    case 'inventory': {
      const { edge, keyId, images, bytes, isTrusted } = event
      const trusted = isTrusted ? 'a trusted key' : OF_WHOM
      const what = `${describeCount(images, 'image')}, ${describeBytes(bytes)}`
      return void stdout.write(`${what}, of edge ${edge}; signed by ${keyId}, ${trusted}\n`)
    }
    case 'archive':
      return showArchive(event, { stdout, stderr })
    case 'note':
      return void stderr.write(`${event.message}\n`)
    case 'image': {
      const { image, digest, outcome } = event
      return void stdout.write(`${image}  ${shortDigest(digest)}  ${OUTCOMES[outcome]}\n`)
    }
    case 'imported': {
      const { images, written, writtenBytes, hereBytes, dryRun } = event
      const would = dryRun ? 'would be ' : ''
      const stored = `${describeCount(written, 'manifest or blob')} ${would}written, ${describeBytes(writtenBytes)}`
      const here = `${describeBytes(hereBytes)} were here`
      return void stdout.write(
        `${describeCount(images, 'image')} ${would}imported: ${stored}; ${here}\n`,
      )
    }
  }
}

const OF_WHOM = 'whose key that is nobody asked: import.trustedkeys or --require-signature does'

function showArchive(
  { form, images, bytes, leftOut, nameless }: Extract<ImportEvent, { kind: 'archive' }>,
  { stdout, stderr }: Pick<CliContext, 'stdout' | 'stderr'>,
): void {
  const made = form === 'docker archive' ? '; manifests made as skopeo makes them' : ''
  const what = `${describeCount(images, 'image')}, ${describeBytes(bytes)}`
  stdout.write(`${what}, ${form} that nobody signed${made}\n`)
  if (leftOut > 0)
    stderr.write(`${describeCount(leftOut, 'manifest')} that indexes list left out: not in it\n`)
  if (nameless > 0)
    stderr.write(`${describeCount(nameless, 'image')} left out: it says no names of them\n`)
}

const OUTCOMES = {
  new: 'new',
  moved: 'moved here',
  same: 'was here',
  older: 'left: this edge has later word of it',
  'pushed here': 'left: it was pushed here, or came from another edge',
  immutable: 'left: it is immutable',
} as const satisfies Record<Extract<ImportEvent, { kind: 'image' }>['outcome'], string>
