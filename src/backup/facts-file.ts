// The facts of a backup, in one file: a line for each, its name and its text, as they stand in a
// data directory.
import { factName, formatFact, parseFact } from '../store/fact-text.ts'
import type { ListedFact } from '../registry/ports/facts.ts'
import { BackupError } from './backup-error.ts'
import { piecesOf } from './files.ts'
import { linesOf } from './lines.ts'

export interface FactLine {
  readonly name: string
  readonly text: string
  readonly fact: ListedFact
}

/** `edge`: identity of the catalog. */
export function factLine(fact: ListedFact, edge: string): string {
  return `${factName(fact)} ${formatFact(fact, edge)}\n`
}

/** @throws BackupError for a line that is none; the system's error */
export async function* readFacts(path: string, edge: string): AsyncGenerator<FactLine> {
  for await (const line of linesOf(piecesOf(path))) {
    const at = line.indexOf(' ')
    const [name, text] = [line.slice(0, at), line.slice(at + 1)]
    const fact = parseFact(name, text, edge)
    if (fact === undefined) throw new BackupError(`${path} has a line that is no fact`)
    yield { name, text, fact }
  }
}
