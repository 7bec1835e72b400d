// After an end out of order, beside the traffic: facts are compared with the catalog, then files
// that no row tells of are adopted. A part of the composition root: it says in which order, and
// what the log is told.
import type { Logger } from '../observe/log.ts'
import type { AdoptedFiles } from '../registry/rebuild/adopt-files.ts'
import type { ComparedFacts } from '../registry/rebuild/compare-facts.ts'

/** What is not given needs not be done. */
export interface StockWork {
  readonly compareFacts?: () => Promise<ComparedFacts>
  /** `isAllFound`: all that facts tell of. */
  readonly adoptFiles?: (isAllFound: boolean) => Promise<AdoptedFiles>
}

export interface StockTaken {
  /** All that facts tell of was found. */
  readonly isCompared: boolean
  /** No file was left that no row tells of. */
  readonly isAdopted: boolean
}

interface Told {
  readonly logger: Logger
  /** Whoever aborts it knows why nothing came to its end. */
  readonly signal: AbortSignal
}

/** Never rejects: what is unfinished begins again at the next start. */
export async function takingStock(work: StockWork, told: Told): Promise<StockTaken> {
  const compared = await comparing(work.compareFacts, told)
  // What a fact needs must not leave as if it were nobody's.
  const isAdopted =
    compared !== 'unfinished' && (await adopting(work.adoptFiles, { ...told, compared }))
  return { isCompared: compared === 'all found', isAdopted }
}

async function comparing(
  compare: StockWork['compareFacts'],
  { logger, signal }: Told,
): Promise<'all found' | 'some lost' | 'unfinished'> {
  if (compare === undefined) return 'all found'
  try {
    const report = await compare()
    const level = report.mended + report.lost > 0 ? 'warn' : 'debug'
    logger[level]({ ...report }, 'what is kept beside the content was compared with the catalog')
    return report.lost === 0 ? 'all found' : 'some lost'
  } catch (error) {
    const hint = 'look for what the disk or the catalog said before; the next start compares again'
    if (!signal.aborted)
      logger.error({ err: error, hint }, 'facts and catalog could not be compared')
    return 'unfinished'
  }
}

async function adopting(
  adopt: StockWork['adoptFiles'],
  { logger, signal, compared }: Told & { readonly compared: 'all found' | 'some lost' },
): Promise<boolean> {
  if (adopt === undefined) return true
  try {
    const report = await adopt(compared === 'all found')
    const hint =
      'one of these files may be of what is lost, and none leaves before that is found: push it again or bring its file back, and start again; "Backup and restore" in docs/operations.md says how to give up what is lost for good'
    const told = compared === 'some lost' && report.files > 0 ? { ...report, hint } : { ...report }
    logger[report.files > 0 ? 'warn' : 'debug'](told, 'files without rows were adopted')
    return true
  } catch (error) {
    const hint = 'look for what the disk or the catalog said before; the next start looks again'
    if (!signal.aborted) logger.error({ err: error, hint }, 'files without rows were not adopted')
    return false
  }
}
