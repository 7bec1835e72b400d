// What the file says about itself: which catalog it is, what it was compared with, and how far its
// numbers are reserved. No client's answer is made of it.
import type { Database } from 'better-sqlite3'

export function metaReads(database: Database) {
  const one = (sql: string) => database.prepare(sql).pluck()
  const sequence = one(`SELECT value FROM meta WHERE key = 'sequence'`)
  const identity = one(`SELECT value FROM meta WHERE key = 'identity'`)
  const rebuilt = one(`SELECT 1 FROM meta WHERE key = 'rebuilt'`)
  const compared = one(
    `SELECT 1 FROM meta mark JOIN meta sequence ON sequence.key = 'sequence' AND sequence.value = mark.value
     WHERE mark.key = 'facts compared'`,
  )
  const damaged = one(`SELECT value FROM meta WHERE key = 'damaged predecessor'`)

  return {
    /** The end of the last range of numbers that was reserved. */
    reservedSequence: () => (sequence.get() as number | undefined) ?? 0,
    identity: () => identity.get() as string,
    isRebuilt: () => rebuilt.get() !== undefined,
    /** Has the process that reserved the last range ended with `markCompared`? */
    isCompared: () => compared.get() !== undefined,
    /** Where a damaged predecessor was moved, until someone says that recovery is done. */
    damagedPredecessor: () => damaged.get() as string | undefined,
  }
}

export function metaWrites(database: Database) {
  const row = (sql: string) => database.prepare(sql)
  const reserveSequence = row(
    `INSERT INTO meta (key, value) VALUES ('sequence', CAST(? AS INTEGER))
     ON CONFLICT DO UPDATE SET value = max(value, excluded.value)`,
  )
  const giveBackSequence = row(`UPDATE meta SET value = CAST(? AS INTEGER) WHERE key = 'sequence'`)
  const markRebuilt = row(
    `INSERT INTO meta (key, value) VALUES ('rebuilt', 1) ON CONFLICT DO NOTHING`,
  )
  // By the range of numbers that every start goes beyond: so no start, of whichever version, has to
  // take the mark away.
  const markCompared = row(
    `INSERT INTO meta (key, value) SELECT 'facts compared', value FROM meta WHERE key = 'sequence'
     ON CONFLICT DO UPDATE SET value = excluded.value`,
  )
  const beginStock = row(
    `INSERT INTO meta (key, value) VALUES ('taking stock', 1) ON CONFLICT DO NOTHING`,
  )
  // All of it, before anybody asks.
  const setUnclear = row('UPDATE content SET unclear = 1 WHERE present = 1')
  const markRecovered = row(`DELETE FROM meta WHERE key = 'damaged predecessor'`)

  return {
    reserveSequence(end: number): void {
      reserveSequence.run(end)
    },
    /** `end`: the first number that was not given. */
    markCompared(end: number): void {
      giveBackSequence.run(end)
      markCompared.run()
    },
    markRebuilt(isAllFound: boolean): void {
      markRebuilt.run()
      if (isAllFound) return
      beginStock.run()
      setUnclear.run()
    },
    markRecovered(): void {
      markRecovered.run()
    },
  }
}
