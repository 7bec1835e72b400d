// Runs a command as `main.ts` does, with streams and environment of the test's own.
import { runCommand } from '../../src/cli/commands.ts'
import type { CliContext } from '../../src/cli/context.ts'

export interface CommandResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

export async function runCli(
  argv: readonly string[],
  options: { env?: Readonly<Record<string, string>>; isTerminal?: boolean } = {},
): Promise<CommandResult> {
  let stdout = ''
  let stderr = ''
  const context: CliContext = {
    env: options.env ?? {},
    stdout: { write: text => (stdout += text), columns: 100 },
    stderr: { write: text => (stderr += text) },
    isTerminal: options.isTerminal ?? false,
    hasTerminal: options.isTerminal ?? false,
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
  }
  const { exitCode } = await runCommand(argv, context)
  return { exitCode, stdout, stderr }
}
