// `purge`: takes images out of the running server: disk, memory and what it knows of them.
import type { PurgeResult } from '../registry/purge/purge.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeCount, writeJson, writeTable } from './output.ts'
import { assertDone, type Done, DRY_RUN_HELP, followRun } from './run-job.ts'

export const help = `entrepot purge PATTERN|DIGEST [--kept] [--dry-run] [--json]

Takes what the pattern matches out of this server: its bytes, its tags, what is in memory on every thread, remembered
answers "the upstream does not have it", and tokens. The next pull asks the upstream. Nothing is deleted there. Pins
hold nothing up here, and stay for what is pulled next.

PATTERN is one of
  REPOSITORIES         a repository, or a pattern of them over host/name: all that is in them
  REPOSITORIES:TAGS    what their tags lead to, of all platforms, with the other tags that lead there
  REPOSITORIES@DIGEST  one manifest, with what it lists
  DIGEST               a manifest or a blob, wherever it is

  --kept         also what was pushed here and is at no upstream, or is not delivered yet: it is gone for good. What a
                 push under way was told is here stays, unless DIGEST names it. What was pushed and is lost is given up
${DRY_RUN_HELP}
${COMMON_HELP}

Exit codes: 0 purged, 1 nothing matched, or nothing of it may go without --kept, 69 the server is not running

Examples
  entrepot purge docker.io/library/alpine:3.20
  entrepot purge 'docker.io/library/**' --dry-run
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const dryRun = args.includes('--dry-run')
  const kept = args.includes('--kept')
  const own = args.filter(each => each !== '--dry-run' && each !== '--kept')
  const usage = 'entrepot purge PATTERN|DIGEST [--kept] [--dry-run]'
  const common = readCommon(own, context, { least: 1, most: 1, usage, changes: true })
  const { server, json, positionals } = common
  const [pattern = ''] = positionals
  const query = { pattern, kept: String(kept), 'dry-run': String(dryRun) }
  const done = await followRun({ server, path: '/purge', query }, { json, context })
  const { kind: _, ...told } = done
  const purged = purgedOf(done)
  if (json) writeJson(context, { ...told, ...purged })
  else writePurged(context, purged, dryRun)
  assertDone('purge', done)
  if (purged.count + purged.forgotten > 0) return EXIT_CODES.ok
  const none = purged.held.length === 0 ? `nothing here matches ${pattern}` : 'nothing of it may go'
  throw new CliError(EXIT_CODES.failed, none)
}

/** Of one that was cancelled before it began there is nothing to tell. */
function purgedOf(done: Done & Partial<PurgeResult>): PurgeResult {
  const { gone, count, freedBytes, note, held = [], heldCount = 0, forgotten = 0 } = done
  const purged = { gone, count, freedBytes, held, heldCount, forgotten }
  return note === undefined ? purged : { ...purged, note }
}

function writePurged(context: CliContext, purged: PurgeResult, dryRun: boolean): void {
  const { gone, count, freedBytes, held, forgotten, note } = purged
  const rows = gone.map(({ what, bytes, reason }) => [what, describeBytes(bytes), reason])
  const stays = held.map(({ what, reason }) => [what, '-', `stays: ${reason}`])
  if (rows.length + stays.length > 0)
    writeTable(context, [['WHAT', 'FREED', 'WHY'], ...rows, ...stays])
  if (purged.heldCount > held.length)
    context.stdout.write(`and ${purged.heldCount - held.length} more stay\n`)
  if (count > gone.length) context.stdout.write(`and ${count - gone.length} more\n`)
  if (count > 0) {
    const what = `${count} ${dryRun ? 'would go' : 'gone'}`
    const bytes = `${describeBytes(freedBytes)} ${dryRun ? 'would be freed' : 'freed'}`
    context.stdout.write(`${what}; ${bytes}\n`)
  }
  if (forgotten > 0)
    context.stdout.write(
      `${describeCount(forgotten, 'negative answer')} ${dryRun ? 'would be forgotten' : 'forgotten'}\n`,
    )
  if (note !== undefined) context.stdout.write(`${note}\n`)
}
