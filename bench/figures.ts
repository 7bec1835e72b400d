// What a row of the bench yields: one sample for each server, case and round. Nothing is averaged
// here: medians, spreads and verdicts are made from these when a table is printed.

/** A number, or for the table of faults a few words. */
export type Measure = number | string

/** What one server showed in one round of one case. */
export interface Sample {
  /** Which table of the row. */
  readonly table: string
  /** The line of that table that these measures belong to. */
  readonly line: string
  readonly server: string
  readonly round: number
  /** How much there was to do, where the row asks how cost grows with it: clients, blobs, bytes. */
  readonly size?: number
  readonly measures: Readonly<Record<string, Measure>>
}

/** A server or a case that is not in the tables, and why. */
export interface Absence {
  readonly server: string
  readonly why: string
  /** Of this line alone; without it, of all. */
  readonly line?: string
}

/** The machine and the versions that a row was measured with. Holds no host name and no path. */
export interface Box {
  readonly cores: number
  readonly processor: string
  /**
   * How SHA-256 is computed, which is a third of a fill's cost where it is by software. Missing in
   * older results.
   */
  readonly hashes?: 'by the processor' | 'by software'
  readonly memoryGiB: number
  readonly kernel: string
  readonly system: string
  readonly node: string
  /** Version by name of the server or client. */
  readonly versions: Readonly<Record<string, string>>
}

export interface RowResult {
  readonly row: string
  /** ISO 8601, UTC. */
  readonly startedAt: string
  readonly seconds: number
  readonly rounds: number
  /**
   * Measured with everything that takes long. Missing in results of a time when there was one form
   * only.
   */
  readonly full?: boolean
  /**
   * CPU seconds per second that processes outside this bench used meanwhile: 0 is a quiet machine.
   */
  readonly foreignCores: number
  /**
   * CPU seconds per second that the host of a virtual machine gave to others. Missing in older
   * results.
   */
  readonly stolenCores?: number
  readonly box: Box
  readonly absences: readonly Absence[]
  readonly samples: readonly Sample[]
  /** Why the row came to no end; what it had until then is not kept. */
  readonly failed?: string
}

/** What is committed as bench/last-run.json: the last result of each row. */
export interface Run {
  readonly rows: readonly RowResult[]
}

/** A column of a table: one measure of the samples. */
export interface Column {
  readonly measure: string
  readonly heading: string
  /** Digits behind the point; default 0. */
  readonly digits?: number
}

/**
 * One table of a row: a line for each `line` and server, in the order in which they were measured.
 */
export interface Table {
  readonly table: string
  readonly title: string
  /** Heading of the first column; the second is the server. */
  readonly lineHeading: string
  readonly columns: readonly Column[]
  /** Said below the table. */
  readonly note?: string
  /** Of these measures: how they grow with the size of a sample, as a table of its own. */
  readonly growth?: readonly Growth[]
}

export interface Growth {
  readonly measure: string
  /** `memory with the number of clients` */
  readonly what: string
}
