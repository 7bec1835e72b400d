// `unpin`: takes pins away that `pin` made.
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { changePins } from './pin.ts'

export const help = `entrepot unpin PATTERN… [--json]

Takes pins away that "entrepot pin" made, by the pattern that "entrepot pin --list" shows. Nothing goes by that: what was pinned
may leave from now on, when there is no room. Pins of the configuration are taken out there.

${COMMON_HELP}

Exit codes: 0 done, 1 it was not pinned by this command, 69 the server is not running

Examples
  entrepot unpin docker.io/library/alpine:3.20
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot unpin PATTERN…'
  const common = readCommon(args, context, { least: 1, most: 1_000, usage, changes: true })
  await changePins('unpin', common, context)
  return EXIT_CODES.ok
}
