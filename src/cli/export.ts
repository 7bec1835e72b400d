// `export`: writes images, with what is about them, into one file that every container tool reads.
// The running server gathers and sends; what is written was checked here on its way.
import { statSync } from 'node:fs'
import { RottenBlob } from '../bundle/checked-bundle.ts'
import type { SignedSums } from '../bundle/sums.ts'
import { BundleFault } from '../bundle/tar-pieces.ts'
import { parseSize } from '../config/formats/units.ts'
import type { LookedAgain, PlannedExport } from '../registry/carry/export-answers.ts'
import { askAdmin, readAdmin } from './admin-client.ts'
import { BundleDirectory } from './bundle-directory.ts'
import { BundleFile } from './bundle-file.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { ExportSession } from './export-session.ts'
import { readImageList } from './image-list.ts'
import { readThere } from './inventories.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeCount, type Failure } from './output.ts'
import { assertWritable } from './output-file.ts'
import { lastOf, takeOwnOptions } from './own-options.ts'
import { platformsFrom } from './platforms.ts'

export const help = `entrepot export IMAGE|PATTERN… -o FILE|DIRECTORY/|- [--platform OS/ARCH[/VARIANT]]… [--all-platforms] [--json]

Writes images into one file, to be carried to where no line leads: an OCI image layout in a tar, which skopeo, podman, ctr, crane and
regctl read as it is, with a signed inventory in it. What is not here is pulled first. What is about an image goes along: signatures,
attestations and bills of materials. Every byte is checked before it is written; FILE appears when it is whole.

  IMAGE              as for "entrepot pull"; a PATTERN, as for "entrepot ls", is over what is here
  --images FILE      also the images of this list: one on each line, or the "image:" lines of a rendered manifest or chart; - is
                     standard input. Names without a registry are Docker Hub's
  -o, --output FILE  where it is written, for its owner alone (0600); - is standard output; a directory, or a name with a slash at its end, gets the layout unpacked
  --platform P       of an index, only this platform; may be given more than once; default linux/amd64
  --all-platforms    of an index, every platform
  --since INVENTORY  without the content that this inventory has: one of the edge that the bundle goes to ("entrepot inventory"), or of
                     an earlier bundle that is there; may be given more than once. Only an edge that has it all can use the bundle
  --no-referrers     without what is about the images
  --split SIZE       in volumes of this size, such as 4GiB: FILE.001, FILE.002 …, and FILE.sums, which is written last, is signed,
                     and says of each what it is to be: "sha256sum -c FILE.sums". "cat FILE.0*" is the bundle

An export that was cut leaves FILE.part: the same command goes on from there. The same images make the same file, byte for byte.

${COMMON_HELP}

Exit codes: 0 written, 1 not written, with the reason, 2 wrong arguments, 69 the server is not running

Examples
  entrepot export docker.io/library/alpine:3 quay.io/team/app:v1 -o images.tar
  entrepot export --images images.txt --since site.inventory -o june.tar
  entrepot export 'docker.io/library/*' --all-platforms --split 4GiB -o library.tar
  helm template chart | entrepot export --images - -o chart.tar
`

/** Of what was left by a cut. */
const OTHER = 'what an earlier command left is of other content than there is now: it is begun anew'
/** Smaller ones would be more than there are names for. */
const VOLUME_MIN_BYTES = 64 * 1024

const OWN = {
  output: { type: 'string', short: 'o' },
  images: { type: 'string' },
  platform: { type: 'string' },
  'all-platforms': { type: 'boolean' },
  'no-referrers': { type: 'boolean' },
  split: { type: 'string' },
  since: { type: 'string' },
} as const

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot export IMAGE|PATTERN… -o FILE|-'
  const own = takeOwnOptions(args, OWN)
  const common = readCommon(own.rest, context, { least: 0, most: 10_000, usage, changes: true })
  const path = lastOf(own.values.output)
  const images = [...common.positionals]
  for (const list of own.values.images) images.push(...(await readImageList(list, context)))
  if (path === undefined || images.length === 0)
    throw new CliError(EXIT_CODES.usage, `usage: ${usage}`)
  if (path === '-' && context.isTerminal)
    throw new CliError(EXIT_CODES.usage, 'a bundle is no text for a terminal: use -o FILE')
  if (path !== '-' && !isDirectory(path)) await assertWritable(path)
  const volumeBytes = readVolumeBytes(lastOf(own.values.split), path)
  const platforms = own.has('all-platforms') ? [] : platformsFrom(own.values.platform)
  const { since } = own.values
  const isThere = since.length === 0 ? undefined : await readThere(since)
  const session = await ExportSession.begin({
    ...common,
    context: path === '-' ? { ...context, stdout: context.stderr } : context,
    gathering: { platforms, referrers: !own.has('no-referrers') },
  })
  try {
    return await exportInto(path, {
      session,
      images,
      isThere,
      context,
      volumeBytes,
    })
  } finally {
    session.end()
  }
}

interface Exporting {
  readonly session: ExportSession
  readonly images: readonly string[]
  /** Where the bundle goes. Undefined: nothing is known of that. */
  readonly isThere: ((digest: string) => boolean) | undefined
  readonly context: CliContext
  /** Undefined: in one file. */
  readonly volumeBytes: number | undefined
}

async function exportInto(path: string, exporting: Exporting): Promise<ExitCode> {
  const { session, images, isThere, context, volumeBytes } = exporting
  await session.gather(images)
  if (isThere !== undefined) await session.suppose(isThere)
  const planned = await session.fetch()
  session.tell({ kind: 'planned', ...planned }, describePlan(planned))
  const { server, id } = session
  const split = volumeBytes === undefined ? undefined : { volumeBytes, sign: signSums(session) }
  const bundle = isDirectory(path)
    ? new BundleDirectory(path)
    : await BundleFile.open(path, { context, split })
  const { from, wasOther } = await bundle.goOn(planned.inventory)
  if (from > 0)
    session.tell({ kind: 'goes on', from }, `${describeBytes(from)} are there, and right\n`)
  if (wasOther) session.note(OTHER)
  const query = { id, from: String(from) }
  const source = readAdmin({ server, path: '/exports/bundle', query })
  try {
    await bundle.take(session.watched(source, { from, totalBytes: planned.sizeBytes, path }))
  } catch (error) {
    await bundle.close()
    const rest =
      path === '-' || isDirectory(path)
        ? ''
        : '; what was right stays, and the same command goes on from there'
    const { exitCode, message } = await whyCut(session, error)
    throw new CliError(exitCode, `${message}${rest}`)
  }
  await bundle.finish()
  session.tell({ kind: 'written', file: path, ...planned }, `${path} is written\n`)
  return EXIT_CODES.ok
}

/** One that is there, or is to be made. */
function isDirectory(path: string): boolean {
  return path.endsWith('/') || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

/** @throws CliError usage */
function readVolumeBytes(text: string | undefined, path: string): number | undefined {
  if (text === undefined) return undefined
  const isFile = path !== '-' && !isDirectory(path)
  const read = parseSize(text)
  if (read.kind === 'fault') throw new CliError(EXIT_CODES.usage, `--split: ${read.message}`)
  if (read.value.kind === 'bytes' && read.value.bytes >= VOLUME_MIN_BYTES && isFile)
    return read.value.bytes
  throw new CliError(EXIT_CODES.usage, '--split is a size of at least 64KiB, of a file')
}

function signSums({ server, id }: ExportSession) {
  return (sha256: string) =>
    askAdmin<SignedSums>({ server, method: 'POST', path: '/exports/sign', query: { id, sha256 } })
}

function describePlan(planned: PlannedExport): string {
  const { images, manifests, blobs, supposed, leftOut, sizeBytes } = planned
  const there = supposed === 0 ? '' : `, ${supposed} of them there already`
  const left =
    leftOut === 0 ? '' : `, without ${describeCount(leftOut, 'other platform')} (--all-platforms)`
  return `${describeCount(images, 'image')}: ${describeCount(manifests, 'manifest')} and ${describeCount(blobs, 'blob')}${there}, ${describeBytes(sizeBytes)}${left}\n`
}

/** @throws what is nobody's fault but ours */
async function whyCut(session: ExportSession, error: unknown): Promise<Failure> {
  const { failed: exitCode } = EXIT_CODES
  if (error instanceof RottenBlob)
    return { exitCode, message: await describeRotten(session, error) }
  if (error instanceof BundleFault)
    return { exitCode, message: `what the server sent is no bundle: ${error.message}` }
  if (!(error instanceof CliError)) throw error
  const brokenBy = error.exitCode === EXIT_CODES.unreachable ? await session.brokenBy() : undefined
  return brokenBy === undefined ? error : { exitCode, message: brokenBy }
}

/** The server is asked to look at it again, and moves away what it finds wrong. */
async function describeRotten({ server, id }: ExportSession, { digest }: RottenBlob) {
  const asked = { server, method: 'POST', path: '/exports/rotten', query: { id, digest } } as const
  const { image, isRotten, isKept } = await askAdmin<LookedAgain>(asked)
  const what = `${digest} of ${image}`
  if (!isRotten)
    return `${what} came with other bytes than its digest says, and is right on the disk of this edge now: its memory or its disk may be failing`
  const rest = isKept
    ? 'it was pushed here: push it again, then export again'
    : 'it is in quarantine by now, and the same command pulls it anew'
  return `${what} has rotted on the disk of this edge; ${rest}`
}
