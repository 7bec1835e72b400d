// `jobs`: what the server does again and again by itself: how it stands, and one run now.
import type { ListedWork } from '../admin/api.ts'
import type { ListedBackup } from '../registry/carry/backup-answers.ts'
import type { ListedExport } from '../registry/carry/export-answers.ts'
import type { JobState } from '../registry/job.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import {
  describeAge,
  describeBytes,
  describeCount,
  describeSpan,
  writeJson,
  writeTable,
} from './output.ts'
import { DRY_RUN_HELP, runJob } from './run-job.ts'

export const help = `entrepot jobs ls [--json]
entrepot jobs run NAME [--dry-run] [--json]
entrepot jobs pause|resume|cancel NAME [--json]

What the server does again and again by itself, and takes things away by; and exports, imports and backups, while they run.

  ls      lists the jobs, what each does now, and how its last run ended
  run     runs one now, and tells what went. When it runs already, the next run begins behind that one; whoever
          asks for the same meanwhile is told of the same run. Ctrl-C cancels it, unless others asked too
  pause   holds the run under way, and lets none begin, until "resume" or the next start of the server
  resume  goes on; what was due meanwhile begins
  cancel  ends the run under way; what went by then stays gone, and the next one begins when it is due

Jobs
  cleanup  what is left of failed downloads, of the quarantine, and of pushes that never ended
  evict    the coldest images, where there is no room; a run by hand goes down to storage.lowwater
  gc       what nothing needs any more (storage.gc)
  purge    what an operator purges: "entrepot purge PATTERN" runs it
  retain   what storage.retention lets go of what was pushed here
  scrub    reads what is here once more, and puts right what a disk has changed (storage.scrub)
  backup   a backup under way: to be paused, resumed and cancelled; "entrepot backup" begins one
  export   exports under way, all of them: to be paused, resumed and cancelled; "entrepot export" begins one
  import   the import under way: to be paused, resumed and cancelled; "entrepot import" begins one
  uploads  uploads that nobody went on with (storage.maintenance.uploadpurging)

${DRY_RUN_HELP}
${COMMON_HELP}

Exit codes: 0 done, 1 the run failed or was cancelled, 69 the server is not running

Examples
  entrepot jobs ls
  entrepot jobs run uploads --dry-run
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const [action, ...rest] = args
  switch (action) {
    case 'ls':
      return list(rest, context)
    case 'run':
      return runNow(rest, context)
    case 'pause':
    case 'resume':
    case 'cancel':
      return control(action, rest, context)
    default:
      throw new CliError(EXIT_CODES.usage, 'usage: entrepot jobs ls|run|pause|resume|cancel')
  }
}

async function list(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot jobs ls'
  const { server, json } = readCommon(args, context, { least: 0, most: 0, usage })
  const listed = await askAdmin<ListedWork>({ server, path: '/jobs' })
  if (json) writeJson(context, listed)
  else writeList(context, listed)
  return EXIT_CODES.ok
}

async function runNow(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot jobs run NAME [--dry-run]'
  const [name = '', ...rest] = args
  if (name === '' || name.startsWith('-')) throw new CliError(EXIT_CODES.usage, `usage: ${usage}`)
  return runJob({ name, usage }, rest, context)
}

async function control(
  action: 'pause' | 'resume' | 'cancel',
  args: readonly string[],
  context: CliContext,
): Promise<ExitCode> {
  const usage = `entrepot jobs ${action} NAME`
  const common = readCommon(args, context, { least: 1, most: 1, usage, changes: true })
  const { server, json, positionals } = common
  const query = { name: positionals[0] }
  const path = `/jobs/${action}`
  const state = await askAdmin<object>({ server, method: 'POST', path, query })
  if (json) writeJson(context, state)
  else context.stdout.write(`${positionals[0]} ${CONTROLLED[action]}\n`)
  return EXIT_CODES.ok
}

const CONTROLLED = {
  pause: 'is paused: no run begins, and the one under way stands still',
  resume: 'goes on',
  cancel: 'ends the run under way, if there is one',
} as const

function writeList(
  context: CliContext,
  { jobs, exports, imports, backups, nowMs }: ListedWork,
): void {
  writeTable(context, [
    ['JOB', 'NOW', 'NEXT', 'LAST RUN'],
    ...jobs.map(job => [
      job.name,
      describeNow(job, nowMs),
      nextRun(job, nowMs),
      lastRun(job, nowMs),
    ]),
    ...exports.running.map(each =>
      carriedRow('export', exports.isPaused, describeCarried(each, nowMs)),
    ),
    ...imports.running.map(each =>
      carriedRow('import', imports.isPaused, describeCarried(each, nowMs)),
    ),
    ...backups.running.map(each =>
      carriedRow('backup', backups.isPaused, describeBackup(each, nowMs)),
    ),
  ])
}

function describeBackup({ sinceMs, doneBytes, contentBytes }: ListedBackup, nowMs: number): string {
  const share = `${describeBytes(doneBytes)} of ${describeBytes(contentBytes)}`
  return `runs since ${describeSpan(nowMs - sinceMs)}, ${share}`
}

function carriedRow(name: string, isPaused: boolean, what: string): readonly string[] {
  return [name, isPaused ? `paused, ${what}` : what, '-', '-']
}

function describeCarried(
  {
    sinceMs,
    images,
    doneBytes,
    sizeBytes = 0,
    dryRun = false,
  }: Omit<ListedExport, 'id'> & { readonly dryRun?: boolean },
  nowMs: number,
): string {
  const what = `${dryRun ? 'dry run' : 'runs'} since ${describeSpan(nowMs - sinceMs)}, ${describeCount(images, 'image')}`
  if (sizeBytes === 0) return `${what} so far`
  return `${what}, ${describeBytes(doneBytes)} of ${describeBytes(sizeBytes)}`
}

function describeNow({ isPaused, running }: JobState, nowMs: number): string {
  const paused = isPaused ? ['paused'] : []
  if (running === undefined) return paused[0] ?? 'waits'
  const { count, freedBytes, sinceMs, dryRun } = running
  const what = `${dryRun ? 'dry run' : 'runs'} since ${describeSpan(nowMs - sinceMs)}`
  return [...paused, what, `${count} so far, ${describeBytes(freedBytes)}`].join(', ')
}

function nextRun({ isPaused, nextAtMs }: JobState, nowMs: number): string {
  if (isPaused || nextAtMs === undefined) return '-'
  return nextAtMs <= nowMs ? 'now' : `in ${describeSpan(nextAtMs - nowMs)}`
}

function lastRun({ last }: JobState, nowMs: number): string {
  if (last === undefined) return 'never'
  const { outcome, beganAtMs, tookMs, count, freedBytes, reason } = last
  const how = reason === undefined ? outcome : `${outcome}: ${reason}`
  const freed = `${count} gone, ${describeBytes(freedBytes)} freed`
  return `${describeAge(nowMs - beganAtMs)}, took ${tookMs < 1_000 ? `${tookMs} ms` : describeSpan(tookMs)}, ${how}, ${freed}`
}
