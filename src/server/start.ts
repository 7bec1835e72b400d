// The composition root: builds each part once, in order, and takes them down in the reverse one.
// What is here is what the rest needs, and what takes time by itself; the rest, compose.ts, is
// loaded meanwhile.
import { openSqliteCatalog } from '../catalog/sqlite/open.ts'
import { SPARE_BYTES } from '../catalog/sqlite/writer/spare.ts'
import { Closing } from './closing.ts'
import type { Config } from '../config/config.ts'
import { assertNotHalfRestored, makeDataDirectory } from './data-directory.ts'
import { createLogger } from '../observe/log.ts'
import { LogOutput } from '../observe/log-output.ts'
import { createMetrics, type Metrics } from '../observe/metrics.ts'
import { createNoteEvent } from '../observe/note-event.ts'
import { Haste } from '../async/haste.ts'
import { createEpochs } from '../registry/epochs.ts'
import { StoreError } from '../registry/ports/store-error.ts'
import type { RunningServer, Surroundings } from './surroundings.ts'

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
    assertNotHalfRestored(config.storage.rootDirectory)
    const epochs = createEpochs()
    const haste = new Haste()
    // First of all: a thread of its own checks and opens it, while this one loads everything else.
    const opening = openSqliteCatalog({
      directory: config.storage.rootDirectory,
      note,
      clock,
      epochs,
      spareBytes: spareBytesOf(config),
      isHurried: () => haste.isOn,
    })
    // What went wrong is told to the one who awaits it further down.
    const opened = opening.catch(() => undefined)
    undo.push(async () => (await opened)?.close({ inOrder }))
    const { compose } = await import('./compose.ts')
    const base = {
      surroundings,
      logDestination,
      logger,
      metrics,
      note,
      sleep,
      undo,
      opening,
      epochs,
      haste,
    }
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

/** A small cache is made no smaller for it. */
function spareBytesOf({ storage: { maxSize } }: Config): number {
  return maxSize.kind === 'bytes' && maxSize.bytes < 64 * SPARE_BYTES ? 0 : SPARE_BYTES
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
