// What was found wrong or doubtful in a configuration, and how it is printed. A finding never holds
// a secret value.

/** Where a value was written. `built in`: nobody wrote it. Lines and columns count from 1. */
export type Place =
  | { readonly source: 'file'; readonly line: number; readonly column: number }
  | { readonly source: 'environment'; readonly variable: string }
  | { readonly source: 'built in' }

/** Errors keep the configuration from being used; warnings do not. */
type Severity = 'error' | 'warning'

export interface Finding {
  readonly severity: Severity
  /** `upstreams.docker.io.tags[0].match`; empty for the file as a whole. */
  readonly path: string
  /** Where in the file; undefined for what came from elsewhere. */
  readonly line: number | undefined
  readonly column: number | undefined
  /** The environment variable that holds the value, if one does. */
  readonly variable: string | undefined
  readonly message: string
  /**
   * What to write instead, probably: as it stands in a file, with the quotes that YAML needs; plain
   * for an environment variable.
   */
  readonly suggestion?: string
}

/** Object keys and list indices from the root of the configuration. */
export type Path = readonly (string | number)[]

/** `['upstreams', 'docker.io', 'tags', 0]` → `upstreams.docker.io.tags[0]` */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`
    return text === '' ? step : `${text}.${step}`
  }, '')
}

/**
 * One key per path, for maps: unlike formatPath's, it never takes a host name with dots for two
 * steps.
 */
export function pathKey(path: Path): string {
  return path.join('\0')
}

export interface FindingText {
  readonly severity?: Severity
  readonly message: string
  readonly suggestion?: string | undefined
}

// What begins otherwise than a plain scalar may, ends it, begins a comment, or cuts a list in one
// line.
const NEEDS_QUOTES =
  /^[-?:](?:\s|$)|^[,[\]{}#&*!|>'"%@`\s]|:(?:\s|$)|\s#|[,[\]{}]|\s$|^(?:~|null)?$/

/** As it has to be written in a file. A list in one line, or what carries quotes already, stays. */
function asYaml(text: string): string {
  const isWritten = text.startsWith('"') || text.startsWith('["')
  return NEEDS_QUOTES.test(text) && !isWritten ? JSON.stringify(text) : text
}

/** Default severity: error. */
export function findingAt(path: Path, place: Place | undefined, text: FindingText): Finding {
  const { severity = 'error', message } = text
  const suggestion =
    place?.source === 'environment' || text.suggestion === undefined
      ? text.suggestion
      : asYaml(text.suggestion)
  return {
    severity,
    path: formatPath(path),
    line: place?.source === 'file' ? place.line : undefined,
    column: place?.source === 'file' ? place.column : undefined,
    variable: place?.source === 'environment' ? place.variable : undefined,
    message,
    ...(suggestion === undefined ? {} : { suggestion }),
  }
}

/** File order first, then what has no place in the file. */
export function sortFindings(findings: readonly Finding[]): readonly Finding[] {
  const last = Number.POSITIVE_INFINITY
  return findings.toSorted(
    (a, b) => (a.line ?? last) - (b.line ?? last) || (a.column ?? 0) - (b.column ?? 0) || 0,
  )
}

/**
 * One line per finding, as compilers write them: `config.yaml:3:5: error: upstreams.docker.io.ttl:
 * message (did you mean 5m?)`.
 * @param file shown in front of what has a line; default `configuration`
 */
export function formatFindings(findings: readonly Finding[], file = 'configuration'): string {
  return findings.map(finding => `${formatFinding(finding, file)}\n`).join('')
}

/** A key may hold anything that YAML lets it; a finding stays one line all the same. */
function escapeControls(text: string): string {
  return text.replace(/\p{Cc}/gu, character => JSON.stringify(character).slice(1, -1))
}

function formatFinding(finding: Finding, file: string): string {
  const { severity, path, line, column, variable, message, suggestion } = finding
  const place =
    variable ??
    (line === undefined ? file : `${file}:${line}${column === undefined ? '' : `:${column}`}`)
  const subject = path === '' ? '' : `${path}: `
  const hint = suggestion === undefined ? '' : ` (did you mean ${suggestion}?)`
  return escapeControls(`${place}: ${severity}: ${subject}${message}${hint}`)
}
