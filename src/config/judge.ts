// Collects what is wrong between keys, each finding at the place where its key was written, and
// reads the files that keys name through the reader that the caller gave.
import {
  type Finding,
  findingAt,
  type FindingText,
  type Path,
  pathKey,
  type Place,
} from './findings.ts'
import { chainIn, holdsPem, readCertificates } from './pem.ts'
import type { ReadSettings } from './read-settings.ts'

/**
 * What a file holds, or why it cannot be read. `mode` is that of stat; undefined where there is
 * none.
 */
export type FileRead =
  | { readonly kind: 'file'; readonly text: string; readonly mode: number | undefined }
  | {
      readonly kind: 'failed'
      readonly reason: string
      /** Neither: something else keeps it from being read. */
      readonly isMissing?: boolean
      readonly isClosed?: boolean
    }

/** MUST NOT throw. */
export type ReadFile = (path: string) => FileRead

export interface Disk {
  readonly totalBytes: number
  /** Of what was pushed and stays, in the data directory; undefined: nobody was asked. */
  readonly keptBytes?: number
}

/** What the operator's machine says; everything that loading a configuration takes from outside. */
export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly readFile: ReadFile
  readonly isDirectory: (path: string) => boolean
  /** Why nobody could begin or go on with a file there. Undefined: nothing is known against it. */
  readonly whyNoLog: (path: string) => string | undefined
  /** The one that holds this path, or will. Undefined: nothing is known of it. */
  readonly diskOf: (path: string) => Disk | undefined
  /** Wall clock; undefined: what depends on the time is not judged. */
  readonly nowMs: number | undefined
}

/** As readSettings found it. */
type Written = Pick<ReadSettings, 'places' | 'itemsLeft'>

/**
 * Where LoadCredential= of the unit that is shipped puts things while it runs: so that root can
 * check on a command line what the server reads.
 */
export const UNIT_CREDENTIALS = '/run/credentials/entrepot.service'
const READABLE_BY_ALL = 0o004
/** The likeliest: root made it, and the server is no root; or this is a check by somebody else. */
const CLOSED_HINT =
  'its owner has to be the one that the server runs as (chown), or the unit hands it over with LoadCredential='

export class Judge {
  readonly findings: Finding[] = []
  readonly surroundings: Surroundings
  /** What the files that keys name hold, by pathKey of the key. */
  readonly fileTexts = new Map<string, string>()
  readonly #written: Written
  /** Names that no credential was found for: they are taken for files in the working directory. */
  readonly #noCredentials = new Set<string>()

  constructor(surroundings: Surroundings, written: Written) {
    this.surroundings = surroundings
    this.#written = written
  }

  note(path: Path, text: FindingText): void {
    this.findings.push(findingAt(this.#asWritten(path), this.placeOf(path), text))
  }

  /** Which item of the list as it was written this one is: faulty ones are not among the rest. */
  indexAsWritten(list: Path, index: number): number {
    return this.#written.itemsLeft.get(pathKey(this.#asWritten(list)))?.[index] ?? index
  }

  /** Did somebody write the key? Then, if it has no value, that was a fault, and was told. */
  isWritten(path: Path): boolean {
    return this.#written.places.has(pathKey(this.#asWritten(path)))
  }

  /** Where the key was written, or else the nearest map around it. */
  placeOf(path: Path): Place | undefined {
    const written = this.#asWritten(path)
    for (let length = written.length; length > 0; length--) {
      const place = this.#written.places.get(pathKey(written.slice(0, length)))
      if (place !== undefined) return place
    }
    return undefined
  }

  #asWritten(path: Path): Path {
    const { itemsLeft } = this.#written
    const written: (string | number)[] = []
    for (const step of path) {
      const indexes = typeof step === 'number' ? itemsLeft.get(pathKey(written)) : undefined
      written.push(typeof step === 'number' ? (indexes?.[step] ?? step) : step)
    }
    return written
  }

  /** Where the file lies that a key names which may be a credential. */
  credential(name: string): string {
    const path = credentialPath(name, this.surroundings)
    if (!path.includes('/')) this.#noCredentials.add(path)
    return path
  }

  /**
   * The text of the file that the key at `path` names; undefined when it is unusable, which is then
   * noted.
   */
  readFile(path: Path, file: string, what: 'public' | 'secret'): string | undefined {
    const read = this.surroundings.readFile(file)
    if (read.kind === 'failed') {
      const isName = this.#noCredentials.has(file)
      const hint = isName ? `; ${credentialHint(file)}` : read.isClosed ? `; ${CLOSED_HINT}` : ''
      this.note(path, { message: `cannot read ${file}: ${read.reason}${hint}` })
      return undefined
    }
    if (what === 'secret' && read.mode !== undefined && (read.mode & READABLE_BY_ALL) !== 0) {
      const message = `every user of this machine can read ${file}: chmod 600 it`
      this.note(path, { severity: 'warning', message })
    }
    this.fileTexts.set(pathKey(path), read.text)
    return read.text
  }

  /**
   * The certificates of a file, in its order. Undefined when it cannot be read, or when one of them
   * is no good, which is then noted at `path`.
   */
  readCertificates(path: Path, file: string): string | undefined {
    const text = this.readFile(path, file, 'public')
    if (text === undefined) return undefined
    const read = readCertificates({ path: file, text })
    if (!('fault' in read)) return chainIn(text)
    this.note(path, { message: read.fault })
    return undefined
  }

  /** The whole text of a file with a key, as far as its armour: what is inside shows in use. */
  readKey(path: Path, file: string): string | undefined {
    const text = this.readFile(path, file, 'secret')
    if (text === undefined || holdsPem(text, 'PRIVATE KEY')) return text
    this.note(path, { message: `${file} holds no PEM private key` })
    return undefined
  }
}

/**
 * A name without a slash is one of a credential, when this process was given any, or when the unit
 * runs and this is a command beside it; else it is the path that it looks like.
 */
function credentialPath(name: string, { env, isDirectory }: Surroundings): string {
  if (name.includes('/')) return name
  const given = env['CREDENTIALS_DIRECTORY'] ?? ''
  const directory = given === '' && isDirectory(UNIT_CREDENTIALS) ? UNIT_CREDENTIALS : given
  return directory === '' ? name : `${directory}/${name}`
}

/** What to do when nothing can be read under a name that no credential was found for. */
function credentialHint(name: string): string {
  return `a credential of the unit is there while it runs, for root; else set CREDENTIALS_DIRECTORY to a directory with a file ${name}`
}
