// Pins of the operator's: text under a name, and nothing else here knows what it means.
import type { Database } from 'better-sqlite3'
import type { RecordedPin } from '../../registry/ports/catalog-pins.ts'

interface PinRow {
  readonly name: string
  readonly body: string
  readonly at: number
}

export function pinReads(database: Database) {
  const list = database.prepare('SELECT name, body, at FROM pin ORDER BY at, name')

  return {
    listPins: (): RecordedPin[] =>
      (list.all() as PinRow[]).map(({ name, body, at }) => ({ name, body, atMs: at })),
  }
}

export function pinWrites(database: Database) {
  const insert = database.prepare(
    'INSERT INTO pin (name, body, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const remove = database.prepare('DELETE FROM pin WHERE name = ?')

  return {
    pin({ name, body, atMs }: RecordedPin): void {
      insert.run(name, body, atMs)
    },
    unpin(name: string): void {
      remove.run(name)
    },
  }
}
