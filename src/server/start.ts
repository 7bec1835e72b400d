// The composition root: builds each part once, in order, and takes them down in the reverse one.
// What is here is what the rest needs, and what takes time by itself; the rest, compose.ts, is
// loaded meanwhile.
import type { SharedLoopback } from '../access/local-access.ts'
import { openSqliteCatalog } from '../catalog/sqlite/open.ts'
import { Closing } from './closing.ts'
import type { Config } from '../config/config.ts'
import type { ConfigChange } from '../config/reload.ts'
import { makeDataDirectory } from './data-directory.ts'
import { createLogger, type Logger } from '../observe/log.ts'
import { LogOutput } from '../observe/log-output.ts'
import { createMetrics, type Metrics } from '../observe/metrics.ts'
import { createNoteEvent } from '../observe/note-event.ts'
import type { Sending } from '../registry/operator/status.ts'
import { StoreError } from '../registry/ports/blob-store.ts'
import type { Clock } from '../registry/ports/clock.ts'

export interface Surroundings {
  readonly clock: Clock
  readonly random: () => number
  readonly version: string
  readonly nodeVersion: string
  /** Of this process. */
  readonly pid: number
  /** What this process may have of the machine's memory. */
  readonly memoryBytes: number
  /**
   * Processor cores that this process may use at the same time: so many threads serve where the
   * configuration names no number.
   */
  readonly cores: number
  /** The user that this process runs as; undefined where systems have no such numbers. */
  readonly uid: number | undefined
  /**
   * Why a program that calls from loopback may be what forwards others. Default: nothing says so.
   */
  readonly sharedLoopback?: SharedLoopback | undefined
  /** What this machine calls itself. Default: nothing that anybody types. */
  readonly hostname?: string
  /** Changes with every start of the machine: tells a killed process from a power cut. */
  readonly bootId: string
  /**
   * How long a request to an upstream whose answer was never seen may still arrive there. Default
   * three minutes.
   */
  readonly settlingMs?: number
  /** May blobs be sent by native/sender.c where it was built? Default true. */
  readonly native?: boolean | undefined
  /** Where log lines go. Default: standard output. */
  readonly logDestination?: { write(line: string): void }
  /** Has `act` called when the process ends, for the last log lines. Default: nothing is called. */
  readonly atExit?: (act: () => void) => void
  /** What a further HTTP thread runs. Default: http-thread beside this file. */
  readonly threadEntry?: URL
}

export interface RunningServer {
  /**
   * As they really are: with the port that the system chose; with `https://` where TLS is spoken.
   */
  readonly http: string
  readonly admin: string
  readonly socket: string
  readonly sending: Sending
  readonly logger: Logger
  /**
   * Takes over what can change while running; says what only a restart brings. Where it throws,
   * part of it may be in force: `status` tells.
   */
  reload(config: Config): Promise<ConfigChange>
  /**
   * What was to be loaded has these faults, a line each: `status` tells them until a reload is
   * taken.
   */
  refuseReload(faults: readonly string[]): void
  /**
   * Drains for at most http.draintimeout, parks what is unfinished, closes everything. Not to be
   * called twice.
   */
  stop(): Promise<void>
}

/**
 * @throws StoreError or a listen error, with a message for the operator; what was opened before is
 * closed again
 */
export async function startServer(
  config: Config,
  surroundings: Surroundings,
): Promise<RunningServer> {
  try {
    return await start(config, surroundings)
  } catch (error) {
    if (!(error instanceof StoreError) || error.failure !== 'corrupt') throw error
    // Damage in a catalog that was believed whole: it is looked at now, and moved aside.
    return start(config, surroundings)
  }
}

async function start(config: Config, surroundings: Surroundings): Promise<RunningServer> {
  const { clock } = surroundings
  const sleep = (ms: number, signal?: AbortSignal) => clock.sleep(ms, signal)
  const metrics = createMetrics({ ...surroundings, sleep })
  const logDestination =
    surroundings.logDestination ??
    openLog(surroundings, metrics, told => {
      logger.warn({ ...told }, 'log lines were dropped')
    })
  const logger = createLogger({ level: config.log.level, destination: logDestination })
  const note = createNoteEvent({ logger, metrics, monotonicMs: () => clock.monotonicMs() })
  const undo = new Closing()
  let inOrder = false
  try {
    makeDataDirectory(config.storage.rootDirectory)
    // First of all: a thread of its own checks and opens it, while this one loads everything else.
    const opening = openSqliteCatalog({ directory: config.storage.rootDirectory, note, clock })
    // What went wrong is told to the one who awaits it further down.
    const opened = opening.catch(() => undefined)
    undo.push(async () => (await opened)?.close({ inOrder }))
    const { compose } = await import('./compose.ts')
    const base = { surroundings, logDestination, logger, metrics, note, sleep, undo, opening }
    const server = await compose(config, base)
    inOrder = true
    return server
  } catch (error) {
    await undo.run().catch((again: unknown) => {
      logger.error({ err: again }, 'not everything that the start had opened could be closed')
    })
    throw error
  }
}

/** Standard output. `tell` is called when it takes lines again after some were dropped. */
function openLog(
  { atExit }: Surroundings,
  metrics: Metrics,
  tell: (told: { lines: number; code: string | undefined; hint: string }) => void,
): LogOutput {
  const hint = 'what standard output leads to was full, gone or slow; look there'
  const output = new LogOutput({
    fd: 1,
    dropped: (reason, lines) => metrics.count('logLinesDropped', { reason }, lines),
    resumed: (lines, code) => tell({ lines, code, hint }),
  })
  atExit?.(() => output.end())
  return output
}
