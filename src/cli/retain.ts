// `retain`: the job of that name, now.
import type { CliContext, ExitCode } from './context.ts'
import { COMMON_HELP } from './options.ts'
import { DRY_RUN_HELP, runJob } from './run-job.ts'

export const help = `entrepot retain [--dry-run] [--json]

Takes away now what the policies under storage.retention let go of what was pushed here, and tells what went and why. The
server does it by itself once in storage.retention.interval. It goes by the policies that the server runs with: look at a dry
run after a reload. An image whose last tag went stays for storage.retention.delay (a day) after its last push or pull, and
the disk has the bytes back storage.gc.delay (an hour) after it went.

${DRY_RUN_HELP}
${COMMON_HELP}

Exit codes: 0 done, 1 the run failed or was cancelled, 69 the server is not running

Examples
  entrepot retain --dry-run
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  return runJob({ name: 'retain', usage: 'entrepot retain [--dry-run]' }, args, context)
}
