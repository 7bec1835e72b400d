// The table of commands: what each is called, what it does in a line, and where it lives. A command's code is loaded when it
// is asked for, so that `schema` does not load a web server.
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'

interface Command {
  readonly summary: string
  /** Shown by `--help`, after the summary. */
  readonly load: () => Promise<CommandModule>
}

/** What each command's file exports. */
export interface CommandModule {
  /** Usage, options and examples. */
  readonly help: string
  /** @throws CliError */
  run(args: readonly string[], context: CliContext): Promise<ExitCode>
}

export const COMMANDS = {
  serve: { summary: 'run the server', load: () => import('./serve.ts') },
  check: { summary: 'validate the configuration', load: () => import('./check.ts') },
  schema: { summary: "print the configuration's JSON Schema", load: () => import('./schema.ts') },
  status: {
    summary: 'cache, traffic and upstreams at a glance',
    load: () => import('./status.ts'),
  },
  ls: { summary: 'list the images that are here', load: () => import('./ls.ts') },
  inspect: {
    summary: 'show one image: platforms, blobs, what is cached',
    load: () => import('./inspect.ts'),
  },
  why: {
    summary: 'say where an image comes from and what a pull would do now',
    load: () => import('./why.ts'),
  },
  pull: { summary: 'bring images into the cache', load: () => import('./pull.ts') },
} as const satisfies Record<string, Command>

/** Runs what the arguments ask for; every failure is a line on standard error and an exit code. */
export async function runCommand(
  argv: readonly string[],
  context: CliContext,
): Promise<{ exitCode: ExitCode }> {
  const [name, ...args] = argv
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    context.stdout.write(overview())
    return { exitCode: name === undefined ? EXIT_CODES.usage : EXIT_CODES.ok }
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    context.stderr.write(`entrepot has no command "${name}"; "entrepot --help" lists them\n`)
    return { exitCode: EXIT_CODES.usage }
  }
  const command = await COMMANDS[name as keyof typeof COMMANDS].load()
  if (args.includes('--help') || args.includes('-h')) {
    context.stdout.write(command.help)
    return { exitCode: EXIT_CODES.ok }
  }
  try {
    return { exitCode: await command.run(args, context) }
  } catch (error) {
    return { exitCode: report(error, context) }
  }
}

function report(error: unknown, context: CliContext): ExitCode {
  if (error instanceof CliError) {
    context.stderr.write(`${error.message}\n`)
    return error.exitCode
  }
  // util.parseArgs says in its message which option is wrong.
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code.startsWith('ERR_PARSE_ARGS')) {
    context.stderr.write(`${(error as Error).message}\n`)
    return EXIT_CODES.usage
  }
  throw error
}

function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map(name => name.length))
  const lines = Object.entries(COMMANDS).map(
    ([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`,
  )
  return `entrepot COMMAND [options]\n\n${lines.join('\n')}\n\n"entrepot COMMAND --help" tells a command's options.\n`
}
