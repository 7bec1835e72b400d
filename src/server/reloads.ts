// What a reload does to the running parts, and what `status` tells of it: a part of the composition
// root.
import { formatName } from '../access/names.ts'
import type { Config } from '../config/config.ts'
import { type ConfigChange, compareConfigs } from '../config/settings-list.ts'
import type { Logger } from '../observe/log.ts'
import type { Epochs } from '../registry/epochs.ts'
import type { RefusedReload } from '../registry/operator/operator-deps.ts'
import type { Clock } from '../registry/ports/clock.ts'
import type { OpenAudit } from './open-audit.ts'
import type { DataPort } from './data-port.ts'
import type { Engine } from './engine.ts'
import type { OpenAccounts } from './open-accounts.ts'
import type { OpenTls } from './open-tls.ts'

export interface ReloadedParts {
  readonly engine: Pick<Engine, 'replace'>
  readonly accounts: Pick<OpenAccounts, 'replace'>
  readonly tls: Pick<OpenTls, 'replace'> | undefined
  readonly dataPort: Pick<DataPort, 'replace'>
  readonly epochs: Epochs
  readonly logger: Logger
  readonly audit: OpenAudit | undefined
  readonly clock: Clock
}

export class Reloads {
  /** What this process began with. */
  readonly #first: Config
  readonly #parts: ReloadedParts
  #current: Config
  #needsRestart: readonly string[] = []
  #refused: RefusedReload | undefined

  constructor(config: Config, parts: ReloadedParts) {
    this.#first = config
    this.#current = config
    this.#parts = parts
  }

  /** What holds for imports that begin now. */
  get imports(): Config['import'] {
    return this.#current.import
  }

  /** Keys that have changed since the start and wait for another one. */
  get needsRestart(): readonly string[] {
    return this.#needsRestart
  }

  /** Undefined when the last one was taken. */
  get refused(): RefusedReload | undefined {
    return this.#refused
  }

  /** See RunningServer.reload. */
  async take(next: Config): Promise<ConfigChange> {
    try {
      return await this.#take(next)
    } catch (error) {
      const faults = ['it failed; the log says how']
      this.#refused = { atMs: this.#parts.clock.nowMs(), faults, isInPart: true }
      throw error
    }
  }

  /** See RunningServer.refuseReload. */
  refuse(faults: readonly string[]): void {
    this.#refused = { atMs: this.#parts.clock.nowMs(), faults, isInPart: false }
  }

  async #take(next: Config): Promise<ConfigChange> {
    const { engine, accounts, tls, dataPort, epochs, logger, audit } = this.#parts
    // Whoever moved the file away reloads for a new one.
    audit?.reopen()
    engine.replace(next)
    // In the turn in which the data port raises the revision that they are of.
    accounts.replace(next)
    tls?.replace(next)
    const { changed } = compareConfigs(this.#current, next)
    const who = formatName({ kind: 'operator' })
    audit?.note({ audit: 'admin', action: 'reload', changed, who })
    this.#current = next
    // With what this process began with: what waited before waits on, and what was taken back does
    // no more.
    this.#needsRestart = compareConfigs(this.#first, next).needsRestart
    this.#refused = undefined
    const change = { changed, needsRestart: this.#needsRestart }
    logger.level = next.log.level
    try {
      await dataPort.replace(next)
    } finally {
      // Until here a thread may have remembered what the old configuration said.
      epochs.bumpAll()
    }
    return change
  }
}
