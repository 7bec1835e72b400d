// The rules of the house that can be checked on text, one function each: source files in,
// violations out, as lines for people. What a rule allows stands in rooms.ts. The rules are tried
// on small bad samples in test/unit/kit, and on the tree in test/tidy.test.ts.
import { posix } from 'node:path'
import { LIBRARY_HOMES, MAY_TOUCH_PROCESS, WRITES_CONTENT, ROOMS, type Room } from './rooms.ts'
import { commentLines, type SourceFile } from './source-text.ts'

export type Violations = readonly string[]

/** Past this, a file is two things. */
const FILE_LINES_MAX = 300
/**
 * Code is held to 100 columns by the formatter, which leaves comments alone. A longer sentence is
 * two.
 */
const COMMENT_COLUMNS_MAX = 100

const OPENING_COMMENT = /^(?:#![^\n]*\n)?(?:\/\/|\/\*)/

const withinSrc = (path: string) => path.slice('src/'.length)
const isInside = (path: string, place: string) => path === place || path.startsWith(`${place}/`)
const isOurs = (specifier: string) => specifier.startsWith('.')

/** The file that a relative import leads to, from the root. */
function resolveImport(source: SourceFile, specifier: string): string {
  return posix.join(posix.dirname(source.path), specifier)
}

/** The files of src/ that it imports, from there. */
function placesImported(source: SourceFile): readonly string[] {
  return source.imports.filter(isOurs).map(each => withinSrc(resolveImport(source, each)))
}

/** Lines of `text` that match, as `path:line: text`. */
function findLines(path: string, text: string, pattern: RegExp): Violations {
  return text.split('\n').flatMap((line, index) => {
    return pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []
  })
}

type Rooms = Readonly<Record<string, Room>>

/** The rows about a file, the innermost first: keys are rooms, and folders or files inside them. */
function rowsFor(source: SourceFile, rooms: Rooms): readonly (readonly [string, Room])[] {
  return Object.entries(rooms)
    .filter(([place]) => isInside(withinSrc(source.path), place))
    .toSorted(([one], [other]) => other.length - one.length)
}

/** Rules 1–7 between the rooms and inside them: who may import whom, types included. */
export function misplacedImports(source: SourceFile, rooms: Rooms = ROOMS): Violations {
  const [innermost] = rowsFor(source, rooms)
  if (innermost === undefined) return [`${source.path} stands in no room`]
  const [place, { imports, never = [] }] = innermost
  return placesImported(source).flatMap(target => {
    const isIn = (each: string) => each === '*' || isInside(target, each)
    if ([place, ...imports].some(isIn) && !never.some(isIn)) return []
    return [`${source.path} imports ${target}, which is not for this room`]
  })
}

/** What it imports to run, and not for types alone. */
function valuesImported(source: SourceFile): readonly string[] {
  const statement = /\b(?:import|export)\s+(type\b)?([^'";]*?)\bfrom\s*'([^']+)'/g
  const found = [...source.withoutComments.matchAll(statement)].flatMap(
    ([, type, names = '', specifier = '']) => {
      const each = names
        .replace(/[{}\s]+/g, ' ')
        .split(',')
        .map(name => name.trim())
      const isOfTypes = each.every(name => name === '' || name.startsWith('type '))
      return type === undefined && !isOfTypes && isOurs(specifier) ? [specifier] : []
    },
  )
  return found.map(each => withinSrc(resolveImport(source, each)))
}

/**
 * Where a folder reaches, by way of files beside the folders of its room, another one that it may
 * not import. Types are let through: they bring nothing along.
 */
export function passedWalls(sources: readonly SourceFile[], rooms: Rooms = ROOMS): Violations {
  const values = new Map(sources.map(each => [withinSrc(each.path), valuesImported(each)]))
  return sources.flatMap(source => {
    const [innermost] = rowsFor(source, rooms)
    const [place, { never = [] }] = innermost ?? ['', { imports: [] }]
    const [room = ''] = place.split('/')
    const found: string[] = []
    const seen = new Set<string>()
    const visit = (from: string, trail: readonly string[]): void => {
      for (const target of values.get(from) ?? []) {
        const way = [...trail, target]
        if (never.some(each => isInside(target, each))) found.push(way.join(' → '))
        if (seen.has(target) || posix.dirname(target) !== room) continue
        seen.add(target)
        visit(target, way)
      }
    }
    visit(withinSrc(source.path), [withinSrc(source.path)])
    return found
  })
}

interface Tables {
  readonly rooms: Rooms
  readonly libraries: Readonly<Record<string, readonly string[]>>
  readonly mayTouchProcess: readonly string[]
}

const TABLES: Tables = {
  rooms: ROOMS,
  libraries: LIBRARY_HOMES,
  mayTouchProcess: MAY_TOUCH_PROCESS,
}

/**
 * What rooms.ts names and the tree does not have, or allows and nobody needs. A row whose file was
 * renamed would hold nothing any more: the file fell to an outer row.
 */
export function staleRows(sources: readonly SourceFile[], tables: Tables = TABLES): Violations {
  const { rooms, libraries, mayTouchProcess } = tables
  const isThere = (place: string) => sources.some(({ path }) => isInside(withinSrc(path), place))
  const rows = Object.entries(rooms)
  const named = [
    ...rows.flatMap(([place, { imports, never = [] }]) => [place, ...imports, ...never]),
    ...Object.values(libraries).flat(),
    ...mayTouchProcess.map(withinSrc),
  ]
  const gone = new Set(named.filter(place => place !== '*' && !isThere(place)))
  const unused = rows.flatMap(([place, { imports }]) => {
    const targets = sources
      .filter(source => rowsFor(source, rooms)[0]?.[0] === place)
      .flatMap(placesImported)
    return imports
      .filter(each => each !== '*' && !gone.has(each))
      .filter(each => !targets.some(target => isInside(target, each)))
      .map(each => `rooms.ts: ${place} may import ${each}, and does not`)
  })
  const deserted = Object.entries(libraries).flatMap(([library, homes]) => {
    const users = sources.filter(({ imports }) => imports.includes(library))
    return homes
      .filter(home => !gone.has(home))
      .filter(home => !users.some(({ path }) => isInside(withinSrc(path), home)))
      .map(home => `rooms.ts: ${library} does not live in ${home}`)
  })
  return [...[...gone].map(place => `rooms.ts: there is no ${place}`), ...unused, ...deserted]
}

/** Rules 1 and 2: what is pure, and what decides, does no input or output of its own. */
export function misplacedBuiltins(source: SourceFile, rooms: Rooms = ROOMS): Violations {
  const rows = rowsFor(source, rooms).map(([, room]) => room.builtins)
  const rule = rows.find(builtins => builtins !== undefined) ?? { never: [] }
  return source.imports.flatMap(specifier => {
    if (!specifier.startsWith('node:')) return []
    const allowed = 'only' in rule ? rule.only.includes(specifier) : !rule.never.includes(specifier)
    return allowed ? [] : [`${source.path} imports ${specifier}, which is not for this room`]
  })
}

/** Rule 8: one home per library. */
export function librariesFromHome(source: SourceFile): Violations {
  return source.imports.flatMap(specifier => {
    if (isOurs(specifier) || specifier.startsWith('node:')) return []
    const homes = LIBRARY_HOMES[specifier]
    if (homes?.some(home => isInside(withinSrc(source.path), home))) return []
    const where = homes === undefined ? 'has no home yet' : `lives in ${homes.join(', ')}`
    return [`${source.path} imports ${specifier}, which ${where}`]
  })
}

/**
 * Rule 7: `process` is a parameter everywhere but in main.ts. Its `nextTick` is the event loop's,
 * as queueMicrotask is.
 */
export function touchesProcess(source: SourceFile): Violations {
  if (MAY_TOUCH_PROCESS.includes(source.path)) return []
  const use =
    /(?<![.\w$])process\s*(?:\?\.|[.[])(?!nextTick\b)|\bglobalThis\.process\b|[=(,]\s*process\s*(?:[,;)]|$)/
  const imported = source.imports.some(specifier => /^(?:node:)?process$/.test(specifier))
  return [
    ...findLines(source.path, source.code, use),
    ...(imported ? [`${source.path} imports process`] : []),
  ]
}

/** Files and their rows come and go together, in the turn of their digest (ADR 0032). */
export function strayContent({ path, code }: SourceFile): Violations {
  const isDeciding = ['registry', 'delivery', 'upkeep', 'server'].some(room =>
    path.startsWith(`src/${room}/`),
  )
  if (!isDeciding || WRITES_CONTENT.includes(path)) return []
  const use =
    /\b(?:store|blobs)\.(?:put|keep|remove)\(|\.commit\(|\bcatalog\.(?:recordBlob|recordManifest|recordPush|forgetContent|finishLeaving|adopt)\(/
  return findLines(path, code, use)
}

/**
 * Rule 9: no cycles. Types count: of two files that name each other nobody can read one without the
 * other.
 */
export function cycles(sources: readonly SourceFile[]): Violations {
  const graph = new Map(
    sources.map(source => [
      source.path,
      source.imports.filter(isOurs).map(specifier => resolveImport(source, specifier)),
    ]),
  )
  const found: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' → '))
    } else if (!done.has(path)) {
      for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
      done.add(path)
    }
  }
  for (const path of graph.keys()) visit(path, [])
  return found
}

/** Rule 9: no barrels, no drawers for odds and ends; and no default exports or enums. */
export function looseForms(source: SourceFile): Violations {
  const { path, code, withoutComments } = source
  const drawer =
    /(?:^|\/)(?:index|utils?|helpers?|commons?|misc)(?:\/|\.ts$)|-(?:utils|helpers)\.ts$/i
  const rest = withoutComments.replace(/\bexport\s[^'";=(]*?\bfrom\s*'[^']+'/g, '')
  return [
    ...(drawer.test(path) ? [`${path} is named for nothing`] : []),
    ...(rest.trim() === '' ? [`${path} only exports what others have`] : []),
    ...findLines(path, code, /\bexport\s+default\b/),
    ...findLines(path, code, /\benum\s+[A-Za-z]/),
  ]
}

/** A file is short, says first what it is, and imports by whole names. */
export function unreadable(source: SourceFile): Violations {
  const { path, text } = source
  const lines = text.split('\n').length - 1
  const ours = source.imports.filter(isOurs)
  return [
    ...(OPENING_COMMENT.test(text) ? [] : [`${path} does not open with a comment`]),
    ...(lines > FILE_LINES_MAX ? [`${path} has ${lines} lines`] : []),
    ...ours.flatMap(specifier => (specifier.endsWith('.ts') ? [] : [`${path}: ${specifier}`])),
  ]
}

/** Not for files of `src/` alone: whoever reads a test reads its comments in the same window. */
export function wideComments(source: SourceFile): Violations {
  const wide = commentLines(source).filter(line => line.length > COMMENT_COLUMNS_MAX)
  return wide.map(line => `${source.path}: ${line.trim()}`)
}

/** The same of C and of scripts of the shell, which no parser of this house reads. */
export function wideNotes({ path, text }: Pick<SourceFile, 'path' | 'text'>): Violations {
  const notes = text.split('\n').filter(line => /^\s*(?:#|\/\/|\/?\*)|\/\*/.test(line))
  const wide = notes.filter(line => line.length > COMMENT_COLUMNS_MAX)
  return wide.map(line => `${path}: ${line.trim()}`)
}

/**
 * A comment that stands on another one: what it is about has gone elsewhere, and it is read as of
 * whatever comes next.
 */
export function stackedComments({ path, text }: SourceFile): Violations {
  return [...text.matchAll(/\*\/[ \t]*\n[ \t]*\/\*\*/g)].map(
    ({ index }) => `${path}:${text.slice(0, index).split('\n').length}: a comment on a comment`,
  )
}

/** More than a screen holds: then it is two functions, or a class whose state is seen. */
const FUNCTION_LINES_MAX = 70

/** What is inside a function counts as its lines: who reads it must read that too. */
export function longFunctions({ path, functions }: SourceFile): Violations {
  return functions.flatMap(({ line, lines }) =>
    lines > FUNCTION_LINES_MAX ? [`${path}:${line}: a function of ${lines} lines`] : [],
  )
}

// Words that people use for several things, beside the one word that the specification has.
const BANNED_WORDS = [
  /\borigin server/i,
  /\buplink/i,
  /\bremote(?!Address\b|Port\b|Family\b|url\b)/i,
  /[a-z]Remote(?![a-z])/,
  /\b(?:TODO|FIXME|XXX|HACK)\b/i,
]

/** Names that were given up for plainer ones (docs/ARCHITECTURE.md); prose may have them. */
const RETIRED_NAMES =
  /\b(?:bringAbsent|goWithout|findKept|Kept(?:Blob|Open)|Demands|Peer|[sS]helf|shelves|telling|Trip)(?![a-z])/

/** The same of those that prose needs for nothing else. */
const RETIRED_WORDS = /\b[eE]bb(?:s|ed|ing)?(?![a-z])|[uU]nasked|UNASKED/

export function bannedWords({ path, code, text }: SourceFile): Violations {
  const banned = BANNED_WORDS.flatMap(word => findLines(path, text, word))
  return [
    ...banned,
    ...findLines(path, code, RETIRED_NAMES),
    ...findLines(path, text, RETIRED_WORDS),
  ]
}

/**
 * The table of rooms in docs/ARCHITECTURE.md names each folder of src/: a room by its row, what is
 * inside it in that row. And it names none that is not there.
 */
export function unmappedFolders(sources: readonly SourceFile[], document: string): Violations {
  const folders = new Map<string, Set<string>>()
  for (const { path } of sources) {
    const [room = '', ...inside] = withinSrc(path).split('/').slice(0, -1)
    const known = folders.get(room) ?? new Set<string>()
    folders.set(room, new Set([...known, ...inside]))
  }
  folders.delete('')
  return [...folders].flatMap(([room, inside]) => {
    const row = document.split('\n').find(line => line.startsWith(`| \`${room}/\` |`))
    if (row === undefined) return [`the codemap has no ${room}/`]
    const named = new Set([...row.matchAll(/`([a-z-]+)\/`/g)].map(([, name = '']) => name))
    named.delete(room)
    return [
      ...[...inside].filter(each => !named.has(each)).map(each => `it has no ${room}/…${each}/`),
      ...[...named].filter(each => !inside.has(each)).map(each => `${room}/ has no ${each}/`),
    ]
  })
}

/** Tests that are left out, that wait for time to pass, or that do not say their goal. */
export function lazyTests({ path, code, text }: SourceFile): Violations {
  const left = /\.(?:skip|only|todo)\s*\(|[{,]\s*(?:skip|only|todo)\s*:/
  const awaited = /\bawait\s+(?:setTimeout|sleep|delay|wait)\s*\(\s*\d[\d_]{2,}/
  const resolved = /\bsetTimeout\s*\(\s*(?:resolve|done)\s*,\s*\d[\d_]{2,}/
  return [
    ...findLines(path, code, left),
    ...findLines(path, code, awaited),
    ...findLines(path, code, resolved),
    ...(OPENING_COMMENT.test(text) ? [] : [`${path} does not open with a comment`]),
  ]
}

/** How a module names the file of a thread that lies beside it, from source and built alike. */
const ENTRY = /`\.\/([\w-]+)\$\{extname\(import\.meta\.url\)\}`/g

/** From source each is there; of a built program only what the build lists. */
export function unbuiltEntries(sources: readonly SourceFile[], build: string): readonly string[] {
  return sources.flatMap(({ path, text }) =>
    [...text.matchAll(ENTRY)].flatMap(([, name = '']) => {
      const row = `'${name}': '${path.slice(0, path.lastIndexOf('/'))}/${name}.ts'`
      return build.includes(row) ? [] : [`${path}: ${row}`]
    }),
  )
}
