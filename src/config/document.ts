// YAML 1.2 text as a small tree that remembers where everything stands. The only reader of YAML;
// which keys there are and what values mean is not known here.
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type YAMLError,
} from 'yaml'
import { type Finding, findingAt, type Path, type Place } from './findings.ts'

/**
 * A value as it was written. `text` is the source text, so that `0123` stays what it was; `quoted`
 * says it is no number or boolean.
 */
export type Node =
  | { readonly kind: 'empty'; readonly place: Place }
  | {
      readonly kind: 'scalar'
      readonly text: string
      readonly quoted: boolean
      readonly place: Place
    }
  | { readonly kind: 'list'; readonly items: readonly Node[]; readonly place: Place }
  | { readonly kind: 'map'; readonly entries: ReadonlyMap<string, Entry>; readonly place: Place }

/** One key of a map; `keyPlace` is where the key stands, `value.place` where its value does. */
export interface Entry {
  readonly keyPlace: Place
  readonly value: Node
}

export type ParsedDocument =
  | { readonly kind: 'tree'; readonly root: Node; readonly findings: readonly Finding[] }
  /**
   * The text is no YAML: what it would mean is anybody's guess, so no fault of `root` is told, and
   * what is read in it is a guess.
   */
  | { readonly kind: 'broken'; readonly root: Node; readonly findings: readonly Finding[] }

/** Aliases can make a small text an enormous tree; no real configuration comes near this. */
const MOST_NODES = 100_000
const DEEPEST = 32

/** What the parser's own words do not make clear. */
const SYNTAX_MESSAGES: Partial<Record<YAMLError['code'], string>> = {
  BAD_ALIAS: 'what begins with * must be quoted: "*"',
  TAB_AS_INDENT: 'there is a tab here; YAML is indented with spaces',
  DUPLICATE_KEY: 'this key was given before',
  MULTIPLE_DOCS: 'there is a second document here (---); one file holds one configuration',
  BAD_SCALAR_START: 'values that begin with @ or ` must be quoted',
  BLOCK_AS_IMPLICIT_KEY:
    'a value that contains ": " must be quoted, and nested keys go on their own lines',
  MULTILINE_IMPLICIT_KEY: 'this is no key; a key is followed by a colon and a space',
}

/** Duplicates leave the rest readable; every other syntax error does not. */
export function parseYaml(text: string): ParsedDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2' })
  const findings = syntaxFindings(document, lines)
  const reader = new TreeReader(document, lines)
  const root = reader.read(document.contents, [])
  if (document.errors.some(error => error.code !== 'DUPLICATE_KEY'))
    return { kind: 'broken', root, findings }
  return { kind: 'tree', root, findings: [...findings, ...reader.findings] }
}

/**
 * One value as an environment variable holds it: `[a, b]` and `{a: 1}` are YAML, too. Undefined
 * when it is broken.
 */
export function parseYamlValue(text: string, place: Place): Node | undefined {
  const parsed = parseYaml(text)
  return parsed.kind === 'broken' || parsed.findings.length > 0
    ? undefined
    : moved(parsed.root, place)
}

function moved(node: Node, place: Place): Node {
  if (node.kind === 'list')
    return { kind: 'list', items: node.items.map(item => moved(item, place)), place }
  if (node.kind !== 'map') return { ...node, place }
  const entries = Array.from(
    node.entries,
    ([key, { value }]) => [key, { keyPlace: place, value: moved(value, place) }] as const,
  )
  return { kind: 'map', entries: new Map(entries), place }
}

/**
 * The parser reports follow-up errors for every token after the first one on a line: only the first
 * is told.
 */
function syntaxFindings(document: Document, lines: LineCounter): Finding[] {
  const findings: Finding[] = []
  for (const error of document.errors) {
    const { line, col } = lines.linePos(error.pos[0])
    if (findings.some(finding => finding.line === line)) continue
    const alias = document.warnings.some(warning => lines.linePos(warning.pos[0]).line === line)
    const message = alias
      ? 'names that begin with * must be quoted: "*"'
      : (SYNTAX_MESSAGES[error.code] ?? error.message)
    findings.push(findingAt([], { source: 'file', line, column: col }, { message }))
  }
  return findings
}

class TreeReader {
  readonly findings: Finding[] = []
  readonly #document: Document
  readonly #lines: LineCounter
  #count = 0
  #isTooLarge = false

  constructor(document: Document, lines: LineCounter) {
    this.#document = document
    this.#lines = lines
  }

  read(node: unknown, path: Path): Node {
    const place = this.#placeOf(node)
    this.#count += 1
    if (this.#count > MOST_NODES || path.length > DEEPEST) return this.#tooLarge(path, place)
    if (isAlias(node)) {
      const target = node.resolve(this.#document)
      if (target !== undefined) return this.read(target, path)
      return this.#fault(
        path,
        place,
        'values that begin with * must be quoted',
        `"*${node.source}"`,
      )
    }
    if (isMap(node)) return this.#readMap(node.items, path, place)
    if (isSeq(node)) {
      return {
        kind: 'list',
        items: node.items.map((item, index) => this.read(item, [...path, index])),
        place,
      }
    }
    if (!isScalar(node) || node.value === null) return { kind: 'empty', place }
    const quoted = node.type !== 'PLAIN'
    const text = typeof node.value === 'string' ? node.value : (node.source ?? '')
    return { kind: 'scalar', text, quoted, place }
  }

  #readMap(items: readonly { key: unknown; value: unknown }[], path: Path, place: Place): Node {
    const entries = new Map<string, Entry>()
    for (const { key, value } of items) {
      const keyPlace = this.#placeOf(key)
      const name = this.read(key, path)
      if (name.kind !== 'scalar') {
        if (!isAlias(key)) this.#fault(path, keyPlace, 'a key is plain text')
        continue
      }
      const read = this.read(value, [...path, name.text])
      // A key with nothing after it has no place of its own.
      const placed = read.place.source === 'built in' ? { ...read, place: keyPlace } : read
      if (!entries.has(name.text)) entries.set(name.text, { keyPlace, value: placed })
    }
    return { kind: 'map', entries, place }
  }

  #placeOf(node: unknown): Place {
    const range =
      isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : undefined
    if (range === undefined || range === null) return { source: 'built in' }
    const { line, col } = this.#lines.linePos(range[0])
    return { source: 'file', line, column: col }
  }

  #tooLarge(path: Path, place: Place): Node {
    if (this.#isTooLarge) return { kind: 'empty', place }
    this.#isTooLarge = true
    return this.#fault(path.slice(0, 1), place, 'too large or too deep for a configuration')
  }

  #fault(path: Path, place: Place, message: string, suggestion?: string): Node {
    this.findings.push(findingAt(path, place, { message, suggestion }))
    return { kind: 'empty', place }
  }
}
