// One run of a job of the running server, followed until it ends, for the commands that ask for
// one: what goes, why, and what the disk has back by it.
import type { FailedEvent } from '../admin/requests.ts'
import type { Gone, JobEvent } from '../registry/job.ts'
import { type AdminRequest, followAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { readCommon } from './options.ts'
import { describeBytes, writeJson, writeTable } from './output.ts'

export const DRY_RUN_HELP = `  --dry-run      changes nothing, and tells what would go`

export type Done = Extract<JobEvent, { kind: 'done' }> & { readonly gone: readonly Gone[] }

/** `name`: of the job. @throws CliError, also when the run fails or is cancelled */
export async function runJob(
  { name, usage }: { readonly name: string; readonly usage: string },
  args: readonly string[],
  context: CliContext,
): Promise<ExitCode> {
  const dryRun = args.includes('--dry-run')
  const own = args.filter(each => each !== '--dry-run')
  const count = { least: 0, most: 0 }
  const { server, json } = readCommon(own, context, { ...count, usage, changes: true })
  const query = { name, 'dry-run': String(dryRun) }
  const done = await followRun({ server, path: '/jobs/run', query }, { json, context })
  const { kind: _, ...told } = done
  if (json) writeJson(context, told)
  else writeDone(context, done)
  assertDone(name, done)
  return EXIT_CODES.ok
}

/** @throws CliError for a run that was cancelled */
export function assertDone(name: string, { outcome }: Pick<Done, 'outcome'>): void {
  if (outcome === 'done') return
  throw new CliError(EXIT_CODES.failed, `${name} was cancelled; what had gone by then stays gone`)
}

/** What the run ended with; on a terminal it is told how it goes. @throws CliError */
export async function followRun(
  asked: Pick<AdminRequest, 'server' | 'path' | 'query'>,
  { json, context }: { readonly json: boolean; readonly context: CliContext },
): Promise<Done> {
  const terminal = json || !context.isTerminal ? undefined : context
  const events = followAdmin<JobEvent | FailedEvent>({ ...asked, method: 'POST' })
  const gone: Gone[] = []
  for await (const event of events) {
    switch (event.kind) {
      case 'failed':
        throw new CliError(EXIT_CODES.failed, event.message)
      case 'progress':
        // Over the line before it.
        terminal?.stdout.write(
          `\r${event.count} so far, ${describeBytes(event.freedBytes)}\u001b[K`,
        )
        break
      case 'gone':
        gone.push(...event.gone)
        break
      case 'done':
        terminal?.stdout.write('\r\u001b[K')
        return { ...event, gone }
    }
  }
  throw new CliError(EXIT_CODES.unreachable, 'the server went away before the run ended')
}

function writeDone(context: CliContext, { gone, count, freedBytes, dryRun, note }: Done): void {
  if (gone.length > 0)
    writeTable(context, [
      ['WHAT', 'FREED', 'WHY'],
      ...gone.map(({ what, reason, bytes }) => [what, describeBytes(bytes), reason]),
    ])
  if (count > gone.length) context.stdout.write(`and ${count - gone.length} more\n`)
  const what = count === 0 ? 'nothing' : String(count)
  const bytes = describeBytes(freedBytes)
  context.stdout.write(
    dryRun ? `${what} would go; ${bytes} would be freed\n` : `${what} gone; ${bytes} freed\n`,
  )
  if (note !== undefined) context.stdout.write(`${note}\n`)
}
