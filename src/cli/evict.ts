// `evict`: the job of that name, now.
import type { CliContext, ExitCode } from './context.ts'
import { COMMON_HELP } from './options.ts'
import { DRY_RUN_HELP, runJob } from './run-job.ts'

export const help = `entrepot evict [--dry-run] [--json]

Lets cached images leave now, the coldest first, until no more is used than storage.lowwater says and every repository is
within its quota; tells what went and why. The server does it by itself when a limit is passed: this is for before, as
ahead of a day with many pulls. What was pushed here, is pinned or in use stays. Below storage.lowwater nothing leaves:
there "entrepot why IMAGE" says how many images would leave before that one.

${DRY_RUN_HELP}
${COMMON_HELP}

Exit codes: 0 done, 1 the run failed or was cancelled, 69 the server is not running

Examples
  entrepot evict --dry-run
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  return runJob({ name: 'evict', usage: 'entrepot evict [--dry-run]' }, args, context)
}
