// Opens what one data directory holds, in the order in which it may be opened, and sees that rows
// and files agree before anybody asks: a part of the composition root. What is done with it is
// compose.ts's.
import type { SqliteCatalog } from '../catalog/sqlite/catalog.ts'
import type { Closing } from './closing.ts'
import type { StorageConfig } from '../config/config.ts'
import type { Logger } from '../observe/log.ts'
import type { BlobStore } from '../registry/ports/blob-store.ts'
import type { IsForgone } from '../registry/ports/blob-store-content.ts'
import { StoredContent } from '../registry/content/content.ts'
import type { Catalog } from '../registry/ports/catalog.ts'
import { verified } from '../registry/ports/catalog-content.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { NoteEvent } from '../registry/ports/events.ts'
import type { FactStore } from '../registry/ports/facts.ts'
import { rebuildCatalog, type RebuildReport } from '../registry/rebuild/rebuild-catalog.ts'
import { recover } from '../registry/rebuild/recovery.ts'
import type { RepositoryPolicies } from '../registry/routing/repository-policy.ts'
import type { RunningRegistry } from '../registry/running-registry.ts'
import type { Stock } from '../registry/facts/stock.ts'
import { openFilesystemStore } from '../store/filesystem/store.ts'
import { StockTaking } from './take-stock.ts'

export interface Content {
  readonly catalog: Catalog
  readonly content: StoredContent
  readonly store: BlobStore
  readonly facts: FactStore
  readonly stock: Stock
  /**
   * Beside the traffic, when the process before has not ended in order, or its catalog is lost:
   * compares facts with the catalog, then has files adopted that no row tells of. Call it once,
   * when serving.
   */
  takeStock(registry: Pick<RunningRegistry, 'compareFacts' | 'adoptFiles'>): void
}

export interface ContentDeps {
  readonly clock: Clock
  readonly bootId: string
  readonly note: NoteEvent
  readonly logger: Logger
  readonly policies: RepositoryPolicies
  /** The file of the native addon; undefined where it may not be loaded. */
  readonly addon: string | undefined
  /** The catalog of the same directory; closed by whoever opened it, after everything here. */
  readonly opening: Promise<SqliteCatalog>
  /** Is given what has to be closed. */
  readonly undo: Closing
}

/**
 * Catalog first: its lock makes sure that nobody else works in the directory while the store sweeps
 * it.
 * @throws StoreError
 */
export async function openContent(storage: StorageConfig, deps: ContentDeps): Promise<Content> {
  const directory = storage.rootDirectory
  const { clock, bootId, note, logger, undo } = deps
  const catalog = await deps.opening
  // What is still lost is looked for at each start, until its bytes are back.
  let stock: StockTaking | undefined
  const { blobs: store, facts } = await openFilesystemStore({
    directory,
    note,
    clock,
    bootId,
    known: async digest => verified(await catalog.findContent(digest)),
    isForgone: forgoneBy(catalog, () => stock?.isCompared ?? catalog.compared),
    isKnowing: () => catalog.rebuilt,
    isAllFound: () => stock?.isAllFound ?? false,
    catalog: catalog.identity,
    giveRoom: () => catalog.giveRoom(),
    addon: deps.addon,
  })
  const content = new StoredContent({ store, catalog, left: () => stock?.missesFiles() })
  const parts = { store, catalog, content, clock, note }
  const built = await rebuild({ ...parts, facts, policies: deps.policies }, logger)
  const taking = new StockTaking({
    // One that cannot be read may be of anything.
    isCompared: catalog.compared || (built?.lost === 0 && facts.failures === 0),
    isAdopted: catalog.compared && built === undefined && !catalog.damaged,
    facts,
    logger,
    clock,
  })
  stock = taking
  // Nothing changes facts any more by then.
  undo.push(async () => {
    if (taking.isTaken) await catalog.markCompared()
  })
  const report = await recover(parts, { full: false })
  // The catalog may be an older one, brought back.
  if (report.suspicious) taking.missesFiles()
  logger[report.lost + report.unreadable > 0 ? 'error' : 'debug'](
    { ...report },
    'recovery finished',
  )
  // The long form runs beside the traffic: whatever it has not reached yet is found out when
  // somebody asks for it.
  if (catalog.damaged || report.suspicious) {
    const stopping = new AbortController()
    const recovered = recoverWhole(parts, { catalog, logger, signal: stopping.signal })
    undo.push(() => {
      stopping.abort(new Error('this edge is stopping'))
      return recovered
    })
  }
  const takeStock: Content['takeStock'] = registry => {
    undo.push(() => taking.stop())
    taking.begin(registry)
  }
  return { catalog, content, store, facts, stock, takeStock }
}

/**
 * Nobody has it any more, also where its row has gone since. While the facts may say more than the
 * catalog (not `isCompared`: after an end out of order, until they were compared), that is known
 * only of content that counts as being here.
 */
function forgoneBy(catalog: Catalog, isCompared: () => boolean): IsForgone {
  return async digest => {
    const isKnown = isCompared() || (await catalog.findContent(digest)) !== undefined
    return isKnown && (await catalog.listRepositoriesOf(digest, 1)).length === 0
  }
}

/**
 * Before anybody asks: what was pushed must not be missing for a moment, nor what was deleted be
 * back for one.
 */
async function rebuild(
  parts: Parameters<typeof rebuildCatalog>[0],
  logger: Logger,
): Promise<Pick<RebuildReport, 'lost'> | undefined> {
  const { isDone, ...report } = await rebuildCatalog(parts)
  if (!isDone) return undefined
  const { manifests, tags, deletes, deliveries, lost } = report
  const isNew = manifests + tags + deletes + deliveries + lost === 0
  const level = isNew ? 'debug' : 'warn'
  logger[level](report, 'the catalog was built from what is kept beside the content')
  return report
}

async function recoverWhole(
  parts: Parameters<typeof recover>[0],
  { catalog, logger, signal }: { catalog: SqliteCatalog; logger: Logger; signal: AbortSignal },
): Promise<void> {
  try {
    const report = await recover(parts, { full: true, signal })
    await catalog.markRecovered()
    logger.warn({ ...report }, 'catalog and content were reconciled')
  } catch (error) {
    // Unfinished, it begins again at the next start.
    if (!signal.aborted) logger.error({ err: error }, 'catalog and content could not be reconciled')
  }
}
