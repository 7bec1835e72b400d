// What each part of fsck is given, and tells: types alone.
import type { Catalog } from '../ports/catalog.ts'
import type { Clock } from '../ports/clock.ts'
import type { FactStore } from '../ports/facts.ts'
import type { InspectedFiles } from '../ports/inspected-files.ts'
import type { Report } from './report.ts'

export interface FsckDeps {
  readonly files: InspectedFiles
  readonly facts: Pick<FactStore, 'has' | 'find' | 'list'>
  /** Undefined where there is none that could be opened. */
  readonly catalog: Catalog | undefined
  readonly clock: Pick<Clock, 'sleep'>
  /** While nobody pushes to the repository with this key, or deletes there. */
  inTurn<T>(key: string, work: () => Promise<T>): Promise<T>
}

export interface FsckProgress {
  readonly kind: 'progress'
  readonly at: 'files' | 'facts' | 'images'
  readonly done: number
  readonly damages: number
}

export interface FsckSteps extends FsckDeps {
  readonly report: Report
  /** After each thing that was looked at. */
  readonly step: (at: FsckProgress['at']) => Promise<void>
}
