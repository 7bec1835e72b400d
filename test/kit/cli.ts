// Runs a command as `main.ts` does, with streams and environment of the test's own.
import { Readable } from 'node:stream'
import { runCommand } from '../../src/cli/commands.ts'
import type { CliContext, InputStream } from '../../src/cli/context.ts'

export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Of a process that writes nowhere, gets no signals and may not end itself; `own` over that. */
export function contextOf(own: Partial<CliContext> = {}): CliContext {
  return {
    env: {},
    stdin: () => typed(''),
    stdout: { write: () => {} },
    stderr: { write: () => {} },
    isTerminal: false,
    hasTerminal: false,
    nodeVersion: process.versions.node,
    pid: process.pid,
    memoryBytes: 2 ** 33,
    cores: 1,
    uid: process.geteuid?.(),
    native: true,
    onExit: () => {},
    outliveStreams: () => {},
    onSignal: () => {},
    exit: code => {
      throw new Error(`the command ended the process with ${code}`)
    },
    ...own,
  }
}

/** Standard input that comes through a pipe. */
export function typed(text: string): InputStream {
  return Object.assign(Readable.from([Buffer.from(text)]), { isTTY: false })
}

export async function runCli(
  argv: readonly string[],
  options: {
    env?: Readonly<Record<string, string>>
    isTerminal?: boolean
    stdin?: InputStream
  } = {},
): Promise<CommandResult> {
  let stdout = ''
  let stderr = ''
  const { env = {}, isTerminal = false, stdin = typed('') } = options
  const context = contextOf({
    env,
    stdin: () => stdin,
    stdout: { write: text => (stdout += asText(text)), columns: 100 },
    stderr: { write: text => (stderr += asText(text)) },
    isTerminal,
    hasTerminal: isTerminal,
  })
  const { exitCode } = await runCommand(argv, context)
  return { exitCode, stdout, stderr }
}

/** Bytes that are no text have a character each. */
function asText(text: string | Uint8Array): string {
  return typeof text === 'string' ? text : Buffer.from(text).toString('latin1')
}
