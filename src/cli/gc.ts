// entrepot gc: takes away now what nothing needs any more; the running server does it.
import type { CliContext, ExitCode } from './context.ts'
import { COMMON_HELP } from './options.ts'
import { DRY_RUN_HELP, runJob } from './run-job.ts'

export const help = `entrepot gc [--dry-run] [--json]

Takes away what no tag, manifest, pin, upload, push or delivery needs, and has not for storage.gc.delay (an hour), and
what never was needed and nobody has asked for in a week. The server does it by itself every storage.gc.interval; this
is a run of the job now. Clients are served meanwhile. Ctrl-C ends it; what went by then stays gone.

${DRY_RUN_HELP}
${COMMON_HELP}

Exit codes: 0 done, 1 the run failed or was cancelled, 69 the server is not running

Examples
  entrepot gc --dry-run
  entrepot gc --json
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  return runJob({ name: 'gc', usage: 'entrepot gc [--dry-run] [--json]' }, args, context)
}
