// The catalog's port to what jobs note for later: text that only whoever gave it understands.

export interface JobNote {
  /** Of the job, or of what it is about. */
  readonly name: string
  readonly body: string
}

export interface JobReads {
  /** One of each name at most, by name. */
  listJobNotes(): Promise<readonly JobNote[]>
}

export interface JobWrites {
  /**
   * In place of the one of that name.
   * @throws StoreError io for a name of more than 1 KiB or a text of more than 8
   */
  noteJob(note: JobNote): Promise<void>
}
