// `fsck`: says what is wrong with the data directory, and changes nothing unless it is asked to.
import { parseArgs } from 'node:util'
import type { Config } from '../config/config.ts'
import { DAMAGES, type DamageKind } from '../registry/fsck/damage.ts'
import type { FsckProgress } from '../registry/fsck/steps.ts'
import type { FoundKind, FsckReport } from '../registry/fsck/report.ts'
import type { ReadPart } from '../registry/fsck/rows-and-files.ts'
import { StoreError } from '../registry/ports/store-error.ts'
import { systemClock } from '../server/clock.ts'
import { requireConfiguration } from './configuration.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { describeBytes, describeCount, writeJson } from './output.ts'

export const help = `entrepot fsck [--read-data[=N/M]] [--json]

Says what is wrong with the data directory: rows of the catalog without files and files without rows, facts that say
something else than rows, wrong lengths, modes and owners, sidecars that cannot be read, a damaged catalog, and images
of which something is missing. Of each kind it says what it means and the way out. It changes nothing; of the catalog it
makes a copy in $TMPDIR, which it removes again. The server must not run.

  --read-data      also reads every byte, and compares it with its digest
  --read-data=1/7  the first seventh of it; 2/7 another one, and so on: all of it within a week of nights
  --json           print JSON, failures as {"error": {"exitCode", "message"}} on standard error
  --config FILE    the configuration that the server runs with

Exit codes, those of restic's check: 0 nothing is wrong; 1 something is, or it could not be found out; 10 there is no
such data directory; 11 another process has it; 130 it was interrupted. Of all commands: 2 wrong arguments, 78 the configuration is invalid.

Examples
  entrepot fsck
  entrepot fsck --read-data=3/7 --json
`

/** Lines of one kind; with --json there are more. */
const LINES_MAX = 50
/** Of a part of the data, as restic has it. */
const PART = /^([1-9][0-9]{0,5})\/([1-9][0-9]{0,5})$/
const READ = '--read-data'
const INTERRUPTED = new CliError(EXIT_CODES.interrupted, 'interrupted')

interface Options {
  readonly read: ReadPart | undefined
  readonly json: boolean
  readonly config: Config
}

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const options = readOptions(args, context)
  const report = await inspect(options, context)
  if (options.json) writeJson(context, report)
  else writeReport(context, report)
  return report.repairable + report.operators === 0 ? EXIT_CODES.ok : EXIT_CODES.failed
}

function readOptions(args: readonly string[], context: CliContext): Options {
  // With or without a value, which parseArgs does not know.
  const reads = args.filter(arg => arg === READ || arg.startsWith(`${READ}=`))
  const { values } = parseArgs({
    args: args.filter(arg => !reads.includes(arg)),
    options: { json: { type: 'boolean', default: false }, config: { type: 'string' } },
  })
  const last = reads.at(-1)
  const read = last === undefined ? undefined : readPart(last.slice(READ.length + 1))
  return { read, json: values.json, config: requireConfiguration(context, values.config) }
}

function readPart(text: string): ReadPart {
  if (text === '') return { part: 1, of: 1 }
  const [, part = 0, of = 0] = (PART.exec(text) ?? []).map(Number)
  if (part >= 1 && part <= of) return { part, of }
  throw new CliError(
    EXIT_CODES.usage,
    `${READ}=${text}: a part is N/M, as 1/7, and 7/7 is the last`,
  )
}

async function inspect({ read, json, config }: Options, context: CliContext): Promise<FsckReport> {
  const { rootDirectory: directory } = config.storage
  const stopping = new AbortController()
  // The copy of the catalog goes first.
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    context.onSignal(signal, () => stopping.abort(INTERRUPTED))
  const progress = json || !context.isTerminal ? () => {} : (at: FsckProgress) => draw(context, at)
  // Its catalog is a third of all code there is.
  const { fsckStopped } = await import('../server/fsck.ts')
  try {
    const report = await fsckStopped({
      directory,
      clock: systemClock,
      native: context.native,
      read,
      progress,
      signal: stopping.signal,
    })
    if (report !== undefined) return report
  } catch (error) {
    throw failureOf(error)
  } finally {
    if (!json && context.isTerminal) context.stdout.write('\r\u001b[K')
  }
  const message = `there is no data directory ${directory} (storage.rootdirectory)`
  throw new CliError(EXIT_CODES.noDirectory, message)
}

function failureOf(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error
  const { message, hint, failure } = error
  const code = failure === 'busy' ? EXIT_CODES.locked : EXIT_CODES.failed
  return new CliError(code, hint === undefined ? message : `${message}; ${hint}`)
}

/** Over the line before it. */
function draw({ stdout }: CliContext, { at, done, damages }: FsckProgress): void {
  stdout.write(`\r${done} ${at}, ${describeCount(damages, 'damage')} so far\u001b[K`)
}

function writeReport(context: CliContext, report: FsckReport): void {
  for (const found of report.found) writeKind(context, found)
  const { rows, files, facts, images, readBlobs, readBytes } = report.looked
  const looked = [rows && describeCount(rows, 'row'), describeCount(files, 'file')]
  const beside = [describeCount(facts, 'fact'), describeCount(images, 'manifest')]
  const read = readBlobs === 0 ? [] : [`${describeBytes(readBytes)} read`]
  const all = [...looked, ...beside, ...read].filter(each => each !== 0).join(', ')
  context.stdout.write(`looked at ${all}: ${verdict(report)}\n`)
}

function verdict({ repairable, operators }: FsckReport): string {
  const count = repairable + operators
  if (count === 0) return 'nothing is wrong'
  const whose = `${repairable} of which the server puts right, ${operators} for you to`
  return `${describeCount(count, 'damage')}, ${whose}`
}

function writeKind({ stdout }: CliContext, { kind, count, damages }: FoundKind): void {
  const { means, way, mender }: (typeof DAMAGES)[DamageKind] = DAMAGES[kind]
  const sign = mender === 'nobody' ? 'note: ' : ''
  stdout.write(`${sign}${kind} (${count}): ${means}. What to do: ${way}\n`)
  for (const { what, detail } of damages.slice(0, LINES_MAX))
    stdout.write(`  ${what}${detail === '' ? '' : `  ${detail}`}\n`)
  if (count > LINES_MAX) stdout.write(`  and ${count - LINES_MAX} more\n`)
}
