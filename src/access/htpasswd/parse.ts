// A file of accounts as `htpasswd -B` writes it: a name, a colon and a bcrypt hash on each line.
// What it holds, and what is wrong with it, by line: the content of a line is told to nobody.
import { whyNoAccount } from '../names.ts'

export interface Entry {
  readonly name: string
  /** As bcrypt writes it, with its cost and salt. MUST NOT be shown. */
  readonly hash: string
  /** The computation takes twice as long with each one more. */
  readonly cost: number
}

export interface LineFault {
  /** From 1. */
  readonly line: number
  /** What is wrong, and what to do, without anything that stands there. */
  readonly message: string
}

export interface Htpasswd {
  readonly entries: readonly Entry[]
  /** The first FAULTS_TOLD_MAX. With any, the file as a whole is faulty. */
  readonly faults: readonly LineFault[]
}

/** Fewer is not bcrypt, and too cheap already; only tests want it. */
export const COST_MIN = 4
/** A third of a second of one core in this program, for each login; 13 would be more than half. */
export const COST_MAX = 12
/** Some tens of milliseconds for each login, and for each guess of whoever has got the file. */
export const COST_DEFAULT = 10
/** A file of another kind is wrong on every line. */
const FAULTS_TOLD_MAX = 20

const BCRYPT = /^\$2[aby]\$(\d{2})\$[./A-Za-z0-9]{53}$/

const WRITE_ANEW = 'write it with "htpasswd -B", or "entrepot user passwd"'

/** Other kinds, by how they begin, and by their length what the C library's crypt made. */
const OTHER_KINDS: readonly (readonly [RegExp, string])[] = [
  [/^\{SHA\}/, 'SHA-1, which is guessed in no time'],
  [/^\$apr1\$/, 'MD5, which is guessed in no time'],
  [/^\$1\$/, 'MD5, which is guessed in no time'],
  [/^\$[56]\$/, 'of a kind that is not bcrypt'],
  [/^\$2x\$/, 'of a faulty version of bcrypt'],
  [/^[./A-Za-z0-9]{13}$/, 'of crypt, which reads eight characters'],
]

/** Never throws. */
export function parseHtpasswd(text: string): Htpasswd {
  const entries: Entry[] = []
  const faults: LineFault[] = []
  const lines = new Map<string, number>()
  for (const [index, written] of text.split('\n').entries()) {
    const line = index + 1
    const read = readLine(written)
    if (read === undefined) continue
    const fault = read.kind === 'fault' ? read.message : twice(read.entry, lines)
    if (fault !== undefined) {
      faults.push({ line, message: fault })
      if (faults.length === FAULTS_TOLD_MAX) break
    }
    if (read.kind === 'fault') continue
    entries.push(read.entry)
    lines.set(read.entry.name, lines.get(read.entry.name) ?? line)
  }
  return { entries, faults }
}

/** The name of the account that a line is about, whatever else stands there. */
export function nameOnLine(written: string): string | undefined {
  const text = written.trim()
  if (text === '' || text.startsWith('#')) return undefined
  const at = text.indexOf(':')
  return at === -1 ? undefined : text.slice(0, at)
}

type ReadLine =
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'fault'; readonly message: string }
  | undefined

/** Undefined of comments and of lines with nothing on them. */
function readLine(written: string): ReadLine {
  const text = written.trim()
  if (text === '' || text.startsWith('#')) return undefined
  const name = nameOnLine(written)
  if (name === undefined) return faulty('has no colon behind a name')
  const wrong = whyNoAccount(name)
  if (wrong !== undefined) return faulty(wrong)
  const hash = text.slice(name.length + 1)
  const found = BCRYPT.exec(hash)
  if (found === null) return faulty(`${describeOther(hash)}: ${WRITE_ANEW}`)
  const cost = Number(found[1])
  if (cost >= COST_MIN && cost <= COST_MAX) return { kind: 'entry', entry: { name, hash, cost } }
  const range = `from ${COST_MIN} to ${COST_MAX}`
  return faulty(`has a password of cost ${cost}, and ${range} is taken: ${WRITE_ANEW}`)
}

function describeOther(hash: string): string {
  const kind = OTHER_KINDS.find(([pattern]) => pattern.test(hash))?.[1]
  if (kind !== undefined) return `has a password that is ${kind}`
  return /^\$2[aby]\$/.test(hash)
    ? 'has a bcrypt password that is not whole, or something behind it'
    : 'has a password that is not bcrypt'
}

function twice({ name }: Entry, lines: ReadonlyMap<string, number>): string | undefined {
  const before = lines.get(name)
  return before === undefined ? undefined : `has the name of line ${before}: leave one of them`
}

function faulty(message: string): ReadLine {
  return { kind: 'fault', message }
}
