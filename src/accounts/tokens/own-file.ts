// A file of the data directory in which this edge keeps what it made itself for logins: one JSON
// object with the version of its format, for its owner alone. Whatever else it holds is damage,
// told with the file's name, but for what a newer program has written, which is left as it is.
import { chmodSync, readFileSync } from 'node:fs'
import { OWN_MODE, removeLeftovers, writeWhole } from './write-whole.ts'

/** Another one for whatever a program of before could not read. */
const VERSION = 1

type Fields = Readonly<Record<string, unknown>>

export type OwnFileRead<Value> =
  | { readonly kind: 'absent' }
  | { readonly kind: 'read'; readonly value: Value }
  | { readonly kind: 'unusable'; readonly error: unknown }

export class OwnFile<Value> {
  readonly path: string
  readonly #parse: (fields: Fields) => Value
  #isOfNewer = false

  /** @param parse MAY throw whatever comes of fields that are not as they should be */
  constructor(path: string, parse: (fields: Fields) => Value) {
    this.path = path
    this.#parse = parse
  }

  /**
   * As a process begins, which finds what the last one left. Never throws. A mode that lets others
   * read it is put right.
   */
  read(): OwnFileRead<Value> {
    removeLeftovers(this.path)
    try {
      chmodSync(this.path, OWN_MODE)
      const { version, ...fields } = JSON.parse(readFileSync(this.path, 'utf8')) as Fields
      this.#isOfNewer = typeof version === 'number' && version > VERSION
      if (version !== VERSION) throw new Error(`its version is ${String(version)}, not ${VERSION}`)
      return { kind: 'read', value: this.#parse(fields) }
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT')
        return { kind: 'absent' }
      return { kind: 'unusable', error: new Error(`${this.path}: ${String(error)}`) }
    }
  }

  /** At once and whole. @throws where it cannot be kept: then it is as it was */
  write(fields: Fields): void {
    if (this.#isOfNewer) throw new Error(`${this.path} is of a newer version, and left as it is`)
    const text = `${JSON.stringify({ version: VERSION, ...fields })}\n`
    // Nothing takes the place of what was right that the next start could not read.
    this.#parse(JSON.parse(text) as Fields)
    writeWhole(this.path, text)
  }
}
