// `fsck`: says what is wrong with the data directory, and changes nothing unless it is asked to.
// With the server stopped it looks itself; else the server does.
import { statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import type { FailedEvent } from '../admin/requests.ts'
import type { Config } from '../config/config.ts'
import { parsePart, type ReadPart } from '../registry/fsck/read-part.ts'
import type { FsckReport } from '../registry/fsck/report.ts'
import { type FsckEvent, type Mended, mendedBetween } from '../registry/fsck/run-fsck.ts'
import type { FsckProgress } from '../registry/fsck/steps.ts'
import { StoreError } from '../registry/ports/store-error.ts'
import { systemClock } from '../server/clock.ts'
import { type AdminServer, followAdmin } from './admin-client.ts'
import { readBootId } from './boot-id.ts'
import { requireConfiguration } from './configuration.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { writeFsck } from './fsck-text.ts'
import { findOtherEdge, OTHER_EDGE_OPTIONS } from './other-edge.ts'
import { COMMON_HELP } from './options.ts'
import { describeCount, writeJson } from './output.ts'

export const help = `entrepot fsck [--read-data[=N/M]] [--repair] [--json]

Says what is wrong with the data directory: rows of the catalog without files and files without rows, facts that say
something else than rows, wrong lengths, modes and owners, sidecars that cannot be read, a damaged catalog, and images
of which something is missing. Of each kind it says what it means and the way out. It changes nothing. With the server
stopped it makes a copy of the catalog in $TMPDIR, which it removes again; while the server runs, that looks for
itself, at all but the catalog as a file.

  --read-data      also reads every byte, and compares it with its digest
  --read-data=1/7  the first seventh of it; 2/7 another one, and so on: all of it within a week of nights
  --repair         then does what the next start and a scrub of what was found would do, and no more, and looks again;
                   what was pushed is never removed. With the server stopped, run it as the server's user
${COMMON_HELP}

Exit codes, those of restic's check: 0 nothing is wrong, or not any more; 1 something is, or it could not be found out;
10 there is no such data directory; 11 another process has it, and does not answer; 130 it was interrupted. Of all
commands: 2 wrong arguments, 69 the server that was named is not running, 78 the configuration is invalid.

Examples
  entrepot fsck
  entrepot fsck --read-data=3/7 --json
  sudo -u entrepot entrepot fsck --repair
`

const READ = '--read-data'
const INTERRUPTED = new CliError(EXIT_CODES.interrupted, 'interrupted')

interface Options {
  readonly read: ReadPart | undefined
  readonly repair: boolean
  readonly json: boolean
  /** Undefined: whether one runs is found out. */
  readonly server: AdminServer | undefined
  readonly config: string | undefined
}

interface Inspected {
  readonly report: FsckReport
  readonly mended?: readonly Mended[] | undefined
}

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const options = readOptions(args, context)
  const terminal = options.json || !context.isTerminal ? undefined : context.stdout
  const tell = (progress: FsckProgress) => terminal?.write(progressLine(progress))
  const { report, mended } = await inspect(options, context, tell)
  terminal?.write('\r\u001b[K')
  if (options.json) writeJson(context, mended === undefined ? report : { ...report, mended })
  else writeFsck(context, report, mended)
  return report.repairable + report.operators === 0 ? EXIT_CODES.ok : EXIT_CODES.failed
}

function readOptions(args: readonly string[], context: CliContext): Options {
  // With or without a value, which parseArgs does not know.
  const reads = args.filter(arg => arg === READ || arg.startsWith(`${READ}=`))
  const { values } = parseArgs({
    args: args.filter(arg => !reads.includes(arg)),
    options: {
      json: { type: 'boolean', default: false },
      repair: { type: 'boolean', default: false },
      config: { type: 'string' },
      socket: { type: 'string' },
      ...OTHER_EDGE_OPTIONS,
    },
  })
  const { json, repair, config, socket } = values
  const last = reads.at(-1)
  const read = last === undefined ? undefined : readPart(last.slice(READ.length + 1))
  const named = socket === undefined ? undefined : ({ kind: 'socket', path: socket } as const)
  return { read, repair, json, config, server: findOtherEdge(values, context) ?? named }
}

function readPart(text: string): ReadPart {
  const part = parsePart(text === '' ? '1/1' : text)
  if (part !== undefined) return part
  throw new CliError(
    EXIT_CODES.usage,
    `${READ}=${text}: a part is N/M, as 1/7, and 7/7 is the last`,
  )
}

type Tell = (progress: FsckProgress) => void

async function inspect(options: Options, context: CliContext, tell: Tell): Promise<Inspected> {
  const { server } = options
  if (server !== undefined) return ask(server, options, tell)
  const config = requireConfiguration(context, options.config)
  try {
    return await look(config, options, { context, tell })
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    if (error.failure !== 'busy') throw failureOf(error, EXIT_CODES.failed)
    try {
      return await ask({ kind: 'socket', path: config.admin.socket }, options, tell)
    } catch (asked) {
      const isNobody = asked instanceof CliError && asked.exitCode === EXIT_CODES.unreachable
      throw isNobody ? failureOf(error, EXIT_CODES.locked) : asked
    }
  }
}

function failureOf({ message, hint }: StoreError, exitCode: ExitCode): CliError {
  return new CliError(exitCode, hint === undefined ? message : `${message}; ${hint}`)
}

/** @throws CliError */
async function ask(server: AdminServer, { read, repair }: Options, tell: Tell): Promise<Inspected> {
  const part = read === undefined ? undefined : `${read.part}/${read.of}`
  const query = { 'read-data': part, repair: String(repair) }
  const asked = { server, method: 'POST', path: '/fsck', query } as const
  for await (const event of followAdmin<FsckEvent | FailedEvent>(asked)) {
    if (event.kind === 'failed') throw new CliError(EXIT_CODES.failed, event.message)
    if (event.kind === 'report') return event
    tell(event)
  }
  throw new CliError(EXIT_CODES.unreachable, 'the server went away before it had looked at all')
}

/** @throws CliError, StoreError */
async function look(
  config: Config,
  { read, repair }: Options,
  { context, tell }: { readonly context: CliContext; readonly tell: Tell },
): Promise<Inspected> {
  const stopping = new AbortController()
  // The copy of the catalog goes first.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    context.onSignal(signal, () => stopping.abort(INTERRUPTED))
  // Nothing that this waits for need keep a process alive: pauses, and threads that read.
  const alive = setInterval(() => {}, 60_000)
  try {
    return await lookAndRepair(config, { read, repair }, { context, tell, signal: stopping.signal })
  } finally {
    clearInterval(alive)
  }
}

interface Looking {
  readonly context: CliContext
  readonly tell: Tell
  readonly signal: AbortSignal
}

async function lookAndRepair(
  config: Config,
  { read, repair }: Pick<Options, 'read' | 'repair'>,
  { context, tell, signal }: Looking,
): Promise<Inspected> {
  const { rootDirectory: directory } = config.storage
  // The catalog and what is behind it are much code.
  const { fsckStopped, repairStopped } = await import('../server/fsck.ts')
  const common = { clock: systemClock, native: context.native, signal }
  const find = () => fsckStopped({ ...common, directory, read, progress: tell })
  const report = await find()
  if (report === undefined) {
    const message = `there is no data directory ${directory} (storage.rootdirectory)`
    throw new CliError(EXIT_CODES.noDirectory, message)
  }
  if (!repair || report.repairable + report.operators === 0) return { report }
  assertOwner(directory, context)
  await repairStopped({ ...common, config, bootId: readBootId() }, report)
  const after = (await find()) ?? report
  return { report: after, mended: mendedBetween(report, after) }
}

/** What is written is this user's, and is to be the server's. */
function assertOwner(directory: string, { uid }: CliContext): void {
  const owner = statSync(directory).uid
  if (uid === undefined || uid === owner) return
  const how = `sudo -u '#${owner}' entrepot fsck --repair`
  const message = `${directory} is of user ${owner}, and what is written now would not be: ${how}`
  throw new CliError(EXIT_CODES.failed, message)
}

/** Over the line before it. */
function progressLine({ at, done, damages }: FsckProgress): string {
  return `\r${done} ${at}, ${describeCount(damages, 'damage')} so far\u001b[K`
}
