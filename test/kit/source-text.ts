// Source files as the tidy test reads them: the text; the same with its comments and literals
// blanked out, so that rules about code do not see words in prose; and what the parser of the build
// finds in it.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { parseSync, Visitor } from 'rolldown/utils'

export interface SourceFile {
  /** From the repository's root, with slashes. */
  readonly path: string
  readonly text: string
  /** The text with comments blanked. Same length and lines. */
  readonly withoutComments: string
  /** The text with comments and the insides of literals blanked. Same length and lines. */
  readonly code: string
  /**
   * What it imports or exports again, as written, in order: imports of types and dynamic ones too.
   */
  readonly imports: readonly string[]
  readonly functions: readonly FunctionText[]
}

export interface FunctionText {
  /** Where it begins, counted from one. */
  readonly line: number
  /** From its first line to its last, with all that is inside. */
  readonly lines: number
}

/**
 * Every TypeScript file and module below `directory`, which is seen from the root of the
 * repository; empty when it is not there.
 */
export function readSources(root: string, directory: string): readonly SourceFile[] {
  return listFiles(join(root, directory))
    .filter(path => /\.m?[jt]s$/.test(path))
    .map(path => relative(root, path).split(sep).join('/'))
    .toSorted()
    .map(path => readSource(path, readFileSync(join(root, path), 'utf8')))
}

function listFiles(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
  } catch {
    return []
  }
}

interface Span {
  readonly start: number
  readonly end: number
}

/** @throws Error for what cannot be parsed */
export function readSource(path: string, text: string): SourceFile {
  const { program, comments, errors } = parseSync(path, text, { astType: 'ts' })
  if (errors[0] !== undefined) throw new Error(`${path}: ${errors[0].message}`)
  const dark = program.hashbang ? [program.hashbang, ...comments] : comments
  const literals: Span[] = []
  const imports: Span[] = []
  const functions: Span[] = []
  const addSource = ({ source }: { source: Span | null }) => {
    if (source !== null) imports.push(source)
  }
  const addFunction = (node: Span) => functions.push(node)
  new Visitor({
    Literal: ({ raw, start, end }) => {
      const isPattern = raw?.startsWith('/')
      if (/^['"/]/.test(raw ?? ''))
        literals.push({ start: start + 1, end: isPattern ? end : end - 1 })
    },
    // From the backtick or the brace before it to the backtick, or the dollar and the brace, behind
    // it.
    TemplateElement: ({ tail, start, end }) => {
      literals.push({ start: start + 1, end: tail ? end - 1 : end - 2 })
    },
    ImportDeclaration: addSource,
    ExportNamedDeclaration: addSource,
    ExportAllDeclaration: addSource,
    ImportExpression: addSource,
    TSImportType: addSource,
    FunctionDeclaration: addFunction,
    FunctionExpression: addFunction,
    ArrowFunctionExpression: addFunction,
  }).visit(program)
  const lineAt = (at: number) => text.slice(0, at).split('\n').length
  return {
    path,
    text,
    withoutComments: blank(text, dark),
    code: blank(text, [...dark, ...literals]),
    imports: imports.map(({ start, end }) => text.slice(start + 1, end - 1)),
    functions: functions.map(({ start, end }) => ({
      line: lineAt(start),
      lines: text.slice(start, end).split('\n').length,
    })),
  }
}

function blank(text: string, spans: readonly Span[]): string {
  let blanked = ''
  let at = 0
  for (const { start, end } of spans.toSorted((one, other) => one.start - other.start)) {
    blanked += text.slice(at, start) + text.slice(start, end).replace(/[^\n]/g, ' ')
    at = end
  }
  return blanked + text.slice(at)
}

/** The lines that hold a comment, or a part of one, beside code too. */
export function commentLines(source: SourceFile): readonly string[] {
  const rest = source.withoutComments.split('\n')
  return source.text.split('\n').filter((line, index) => line !== rest[index])
}
