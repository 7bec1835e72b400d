// `serve`: runs the server until it is told to stop.
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { Turns } from '../async/turns.ts'
import { type Finding, formatFindings } from '../config/findings.ts'
import type { Config } from '../config/config.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { RunningServer } from '../server/surroundings.ts'
import { systemClock } from '../server/clock.ts'
import { readBootId } from './boot-id.ts'
import { loadConfiguration, configurationToServe } from './configuration.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { readSharedLoopback } from './shared-loopback.ts'
import { VERSION } from './version.ts'

export const help = `entrepot serve [--config FILE]

Runs the server until SIGTERM or SIGINT. SIGHUP reads the configuration again; where a terminal is
standard input, output or error, it means that this was closed, and ends the server.

  --config FILE  default: $ENTREPOT_CONFIG, else /etc/entrepot/config.yaml when it is there, else
                 no configuration: Docker Hub and the well-known registries on :5000, data in ./data

Examples
  entrepot serve
  entrepot serve --config /etc/entrepot/config.yaml
  ENTREPOT_HTTP_ADDR=:5050 entrepot serve
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const { values } = parseArgs({ args: [...args], options: { config: { type: 'string' } } })
  // What it says is for whoever listens; clients are served as well when nobody does.
  context.outliveStreams()
  // Before anything that takes time: a signal that nobody listens for ends the process.
  const signals = listenForSignals(context, systemClock)
  const config = configurationToServe(context, values.config)
  const server = await start(config, context)
  const { http, admin, adminApi, socket, sending, logger } = server
  logger.info(
    {
      version: VERSION,
      pid: context.pid,
      http,
      admin,
      ...(adminApi !== undefined && { adminApi }),
      socket,
      ...sending,
      data: config.storage.rootDirectory,
    },
    'serving',
  )
  const turns = new Turns()
  signals.onReload(() => {
    // One after another, each with the file as it is when its turn comes.
    void turns.take('reload', async () => {
      if (!signals.isStopping) await reload(server, context, values.config)
    })
  })
  await signals.stop
  logger.info('stopping: answers under way are finished, new requests are refused')
  await server.stop()
  logger.info('stopped')
  return EXIT_CODES.ok
}

interface Signals {
  /**
   * Resolves at the first SIGTERM or SIGINT, or when the terminal is closed; one that comes later
   * than SAME_SIGNAL_MS after it ends the process at once.
   */
  readonly stop: Promise<void>
  /** Since the first of these: what is reloaded then would be put into parts that are closed. */
  readonly isStopping: boolean
  /** Calls `act` at every SIGHUP that asks for it from now on, and now when one came earlier. */
  onReload(act: () => void): void
}

/**
 * What a terminal or a supervisor sends to all processes of a group npm passes on to its child as
 * well.
 */
export const SAME_SIGNAL_MS = 1_000

export function listenForSignals(
  context: Pick<CliContext, 'onSignal' | 'exit' | 'hasTerminal'>,
  { monotonicMs }: Pick<Clock, 'monotonicMs'>,
): Signals {
  const stop = Promise.withResolvers<void>()
  let askedAtMs: number | undefined
  const end = () => {
    askedAtMs ??= monotonicMs()
    if (monotonicMs() - askedAtMs >= SAME_SIGNAL_MS) context.exit(EXIT_CODES.failed)
    stop.resolve()
  }
  context.onSignal('SIGTERM', end)
  context.onSignal('SIGINT', end)
  let early = false
  let act = () => {
    early = true
  }
  // The kernel says it so when a terminal goes away, and whoever supervises a service when it shall
  // read its configuration.
  context.onSignal('SIGHUP', context.hasTerminal ? end : () => act())
  return {
    stop: stop.promise,
    get isStopping() {
      return askedAtMs !== undefined
    },
    onReload: reload => {
      act = reload
      if (early) reload()
    },
  }
}

async function start(config: Config, context: CliContext): Promise<RunningServer> {
  // Loading it is half of the start: by then signals are listened for.
  const { startServer } = await import('../server/start.ts')
  try {
    return await startServer(config, {
      clock: systemClock,
      random: Math.random,
      version: VERSION,
      nodeVersion: context.nodeVersion,
      pid: context.pid,
      memoryBytes: context.memoryBytes,
      cores: context.cores,
      uid: context.uid,
      sharedLoopback: readSharedLoopback(context.env),
      native: context.native,
      hostname: hostname(),
      bootId: readBootId(),
      atExit: act => context.onExit(act),
    })
  } catch (error) {
    throw startError(error)
  }
}

/**
 * Faults of the machine get a sentence and no stack trace; anything else is a bug and keeps its
 * trace.
 */
function startError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { code, hint } = error as Error & { code?: unknown; hint?: unknown }
  if (typeof hint === 'string') return new CliError(EXIT_CODES.failed, `${error.message}; ${hint}`)
  if (error.name === 'StoreError') return new CliError(EXIT_CODES.failed, error.message)
  return typeof code === 'string' && /^E[A-Z]+$/.test(code)
    ? new CliError(EXIT_CODES.failed, error.message)
    : error
}

async function reload(
  server: RunningServer,
  context: CliContext,
  named: string | undefined,
): Promise<void> {
  const config = readAgain(server, context, named)
  if (config === undefined) return
  try {
    const change = await server.reload(config)
    server.logger.info({ ...change }, 'configuration reloaded')
  } catch (error) {
    server.logger.error({ err: error }, 'configuration reloaded in part')
  }
}

/** Undefined when all stays as it was: the log and `status` say why. */
function readAgain(
  server: RunningServer,
  context: CliContext,
  named: string | undefined,
): Config | undefined {
  try {
    const { path, result } = loadConfiguration(context, named)
    if (result.kind !== 'invalid') return result.config
    // `status` tells the first alone: one that it was refused for, and no warning.
    const faults = formatFindings(errorsFirst(result.findings), path).trimEnd().split('\n')
    server.refuseReload(faults)
    server.logger.error({ faults }, 'configuration not reloaded: it has faults')
  } catch (error) {
    const fault = error instanceof CliError ? error.message : 'it failed; the log says how'
    server.refuseReload([fault])
    server.logger.error({ err: error }, 'configuration not reloaded')
  }
  return undefined
}

function errorsFirst(findings: readonly Finding[]): readonly Finding[] {
  return findings.toSorted(
    (a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'),
  )
}
