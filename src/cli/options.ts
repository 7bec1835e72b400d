// Options that several commands share, and how the running server is found.
import { parseArgs } from 'node:util'
import type { AdminServer } from './admin-client.ts'
import { findSocket } from './configuration.ts'
import { type CliContext, CliError, EXIT_CODES } from './context.ts'
import { findOtherEdge, OTHER_EDGE_HELP, OTHER_EDGE_OPTIONS } from './other-edge.ts'

export interface CommonOptions {
  readonly json: boolean
  readonly config: string | undefined
  readonly server: AdminServer
  readonly positionals: readonly string[]
}

export const COMMON_HELP = `  --json         print JSON, failures as {"error": {"exitCode", "message"}} on standard error
  --socket PATH  of the running server; default: admin.socket of the configuration
  --config FILE  the configuration that the server runs with
  --admin URL    ${OTHER_EDGE_HELP}`

/**
 * @throws CliError usage when there are fewer or more arguments than `takes` allows, and as
 * findSocket
 */
export function readCommon(
  args: readonly string[],
  context: CliContext,
  takes: {
    readonly least: number
    readonly most: number
    readonly usage: string
    /** The command changes something at the server: it must be the right one. Default: no. */
    readonly changes?: boolean
  },
): CommonOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      config: { type: 'string' },
      socket: { type: 'string' },
      ...OTHER_EDGE_OPTIONS,
    },
  })
  if (positionals.length < takes.least || positionals.length > takes.most) {
    throw new CliError(EXIT_CODES.usage, `usage: ${takes.usage}`)
  }
  // With --json, standard error has failures and nothing else; warnings are for `serve` and `check`
  // to tell.
  const use = { mayGuess: takes.changes !== true, quiet: values.json }
  const server = findOtherEdge(values, context) ?? {
    kind: 'socket',
    path: values.socket ?? findSocket(context, values.config, use),
  }
  return { json: values.json, config: values.config, server, positionals }
}
