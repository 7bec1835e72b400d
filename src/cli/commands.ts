// The table of commands: what each is called, what it does in a line, and where it lives. A
// command's code is loaded when it is asked for, so that `schema` does not load a web server.
import { closest } from '../config/suggest.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { type Failure, writeFailure } from './output.ts'
import { VERSION } from './version.ts'

interface Command {
  readonly summary: string
  /** It shows what a running server says, which may be of another version. */
  readonly asksServer: boolean
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
  serve: {
    summary: 'run the server',
    asksServer: false,
    load: () => import('./serve.ts'),
  },
  check: {
    summary: 'validate the configuration',
    asksServer: false,
    load: () => import('./check.ts'),
  },
  access: {
    summary: 'say which access rule lets somebody do something, or does not',
    asksServer: false,
    load: () => import('./access.ts'),
  },
  user: {
    summary: 'accounts: add, change the password, remove, list',
    asksServer: false,
    load: () => import('./user.ts'),
  },
  token: {
    summary: 'robots: make, renew, end, list',
    asksServer: true,
    load: () => import('./token.ts'),
  },
  schema: {
    summary: "print the configuration's JSON Schema",
    asksServer: false,
    load: () => import('./schema.ts'),
  },
  status: {
    summary: 'cache, traffic and upstreams at a glance',
    asksServer: true,
    load: () => import('./status.ts'),
  },
  ls: {
    summary: 'list the images that are here',
    asksServer: true,
    load: () => import('./ls.ts'),
  },
  inspect: {
    summary: 'show one image: platforms, blobs, what is cached',
    asksServer: true,
    load: () => import('./inspect.ts'),
  },
  why: {
    summary: 'say where an image comes from and what a pull would do now',
    asksServer: true,
    load: () => import('./why.ts'),
  },
  queue: {
    summary: 'pushes that wait to be delivered: list, retry, drop',
    asksServer: true,
    load: () => import('./queue.ts'),
  },
  pull: {
    summary: 'bring images into the cache',
    asksServer: true,
    load: () => import('./pull.ts'),
  },
  pin: {
    summary: 'keep what a pattern matches under any pressure',
    asksServer: true,
    load: () => import('./pin.ts'),
  },
  unpin: {
    summary: 'take a pin away',
    asksServer: true,
    load: () => import('./unpin.ts'),
  },
  purge: {
    summary: 'take images out of disk and memory',
    asksServer: true,
    load: () => import('./purge.ts'),
  },
  retain: {
    summary: 'what retention lets go, now',
    asksServer: true,
    load: () => import('./retain.ts'),
  },
  evict: {
    summary: 'let the coldest images leave, now',
    asksServer: true,
    load: () => import('./evict.ts'),
  },
  gc: {
    summary: 'take away what nothing needs any more',
    asksServer: true,
    load: () => import('./gc.ts'),
  },
  scrub: {
    summary: 'read all that is here once more, and tell what is wrong',
    asksServer: true,
    load: () => import('./scrub.ts'),
  },
  fsck: {
    summary: 'say what is wrong with the data directory',
    asksServer: false,
    load: () => import('./fsck.ts'),
  },
  export: {
    summary: 'write images into a file that goes where no line leads',
    asksServer: true,
    load: () => import('./export.ts'),
  },
  import: {
    summary: 'bring in the images of such a file',
    asksServer: true,
    load: () => import('./import.ts'),
  },
  inventory: {
    summary: 'write a signed list of what is here',
    asksServer: true,
    load: () => import('./inventory.ts'),
  },
  backup: {
    summary: 'copy what was pushed here to another place, while clients push',
    asksServer: true,
    load: () => import('./backup.ts'),
  },
  restore: {
    summary: 'bring such a copy back, into an empty directory',
    asksServer: false,
    load: () => import('./restore.ts'),
  },
  key: {
    summary: 'show the key by which this edge signs what it sends over an air gap',
    asksServer: true,
    load: () => import('./key.ts'),
  },
  jobs: {
    summary: 'what is done again and again: list, run, pause, resume, cancel',
    asksServer: true,
    load: () => import('./jobs.ts'),
  },
} as const satisfies Record<string, Command>

/**
 * Runs what the arguments ask for; every failure is a line on standard error, with --json an
 * object, and an exit code.
 */
export async function runCommand(
  argv: readonly string[],
  context: CliContext,
): Promise<{ exitCode: ExitCode }> {
  try {
    return { exitCode: await runNamed(argv, context) }
  } catch (error) {
    const { exitCode, message } = failureOf(error, argv[0] ?? '')
    if (argv.includes('--json')) writeFailure(context, { exitCode, message })
    else context.stderr.write(`${message}\n`)
    return { exitCode }
  }
}

/** @throws CliError, and what util.parseArgs throws */
async function runNamed(argv: readonly string[], context: CliContext): Promise<ExitCode> {
  const [name, ...args] = argv
  if (name === '--version' || name === '-v') {
    context.stdout.write(`entrepot ${VERSION}\n`)
    return EXIT_CODES.ok
  }
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    const [of] = name === 'help' ? args : []
    context.stdout.write(of === undefined ? overview() : (await load(of)).help)
    return name === undefined ? EXIT_CODES.usage : EXIT_CODES.ok
  }
  const command = await load(name)
  if (!args.includes('--help') && !args.includes('-h')) return command.run(args, context)
  context.stdout.write(command.help)
  return EXIT_CODES.ok
}

function find(name: string): Command | undefined {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name as keyof typeof COMMANDS] : undefined
}

/** @throws CliError when there is no such command */
function load(name: string): Promise<CommandModule> {
  const command = find(name)
  if (command !== undefined) return command.load()
  const near = closest(name, Object.keys(COMMANDS))
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`
  throw new CliError(
    EXIT_CODES.usage,
    `entrepot has no command "${name}"${hint}; "entrepot --help" lists them`,
  )
}

/** @throws `error` itself when it is nobody's fault but ours */
function failureOf(error: unknown, command: string): Failure {
  if (error instanceof CliError) return error
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const isUsage = code.startsWith('ERR_PARSE_ARGS')
  const isOthers = error instanceof TypeError && find(command)?.asksServer === true
  if (!isUsage && isOthers) return otherVersion(error)
  if (!isUsage) throw error
  // util.parseArgs says in its message which option is wrong, and goes on about what no command
  // here takes.
  const [what = ''] = (error as Error).message.split(/\.\s/, 1)
  const message = `${what}; "entrepot ${command} --help" tells what it takes`
  return { exitCode: EXIT_CODES.usage, message }
}

/** What an older server does not tell a newer command looks for. */
function otherVersion({ message }: TypeError): Failure {
  const what = `this command (version ${VERSION}) does not understand the server's answer: ${message}`
  const how = 'a server of another build runs; start it again, or see --json'
  return { exitCode: EXIT_CODES.failed, message: `${what}; ${how}` }
}

function overview(): string {
  const width = Math.max(...Object.keys(COMMANDS).map(name => name.length))
  const lines = Object.entries(COMMANDS).map(
    ([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`,
  )
  return `entrepot COMMAND [options]\n\n${lines.join('\n')}\n\n"entrepot COMMAND --help" tells a command's options, "entrepot --version" the version.\n`
}
