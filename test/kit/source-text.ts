// Source files as the tidy test reads them: TypeScript with its comments, or its comments and
// literals, blanked out, so that rules about code do not see words in prose. A lexer of its own,
// because TypeScript 7 has no API yet; it knows as much as rules need.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

export interface SourceFile {
  /** From the repository's root, with slashes. */
  readonly path: string
  readonly text: string
  /** The text with comments blanked, for imports. Same length and lines. */
  readonly withoutComments: string
  /** The text with comments and the insides of literals blanked. Same length and lines. */
  readonly code: string
}

/**
 * Every TypeScript file below `directory`, which is seen from the root of the repository; empty
 * when it is not there.
 */
export function readSources(root: string, directory: string): readonly SourceFile[] {
  return listFiles(join(root, directory))
    .filter(path => path.endsWith('.ts'))
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

export function readSource(path: string, text: string): SourceFile {
  const spans = findSpans(text)
  const comments = spans.filter(span => span.kind === 'comment')
  return { path, text, withoutComments: blank(text, comments), code: blank(text, spans) }
}

interface Span {
  readonly kind: 'comment' | 'literal'
  readonly start: number
  readonly end: number
}

function blank(text: string, spans: readonly Span[]): string {
  let blanked = ''
  let at = 0
  for (const { start, end } of spans) {
    blanked += text.slice(at, start) + text.slice(start, end).replace(/[^\n]/g, ' ')
    at = end
  }
  return blanked + text.slice(at)
}

const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\/|^#![^\n]*/y
const STRING = /'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/y
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/y
const TEMPLATE_TEXT = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y
// After one of these a slash begins a regular expression; after a name, a number or a bracket it
// divides.
const BEFORE_REGEX = /(?:^|[-=(,:;[!&|?{}+*%~^<>]|\b(?:return|typeof|case|in|of|void|await))\s*$/

/** Comments and the insides of literals, in order. */
function findSpans(text: string): readonly Span[] {
  const spans: Span[] = []
  /** Per open template literal, how many braces are open in its `${}`. */
  const templates: number[] = []
  let at = 0
  const take = (pattern: RegExp): number => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0].length ?? 0
  }
  const takeTemplateText = () => {
    const length = take(TEMPLATE_TEXT)
    spans.push({ kind: 'literal', start: at, end: at + length })
    at += length
    if (text[at] === '`') {
      templates.pop()
      at += 1
    } else {
      at += 2
    }
  }
  while (at < text.length) {
    const comment = take(COMMENT)
    const string = take(STRING)
    const character = text[at]
    if (comment > 0) {
      spans.push({ kind: 'comment', start: at, end: at + comment })
      at += comment
    } else if (string > 0) {
      spans.push({ kind: 'literal', start: at + 1, end: at + string - 1 })
      at += string
    } else if (character === '`') {
      templates.push(0)
      at += 1
      takeTemplateText()
    } else if (character === '/' && BEFORE_REGEX.test(text.slice(Math.max(0, at - 200), at))) {
      const regex = take(REGEX)
      if (regex > 0) spans.push({ kind: 'literal', start: at + 1, end: at + regex })
      at += Math.max(regex, 1)
    } else if (character === '}' && templates.at(-1) === 0) {
      at += 1
      takeTemplateText()
    } else {
      const open = templates.length - 1
      if (open >= 0 && character === '{') templates[open] = (templates[open] ?? 0) + 1
      if (open >= 0 && character === '}') templates[open] = (templates[open] ?? 0) - 1
      at += 1
    }
  }
  return spans
}

// The first group is there when only types are taken, which leave nothing behind at run time.
const IMPORT =
  /\b(?:import|export)\s+(type\s)?[^'";]*?\bfrom\s*'([^']+)'|\bimport\s*\(?\s*'([^']+)'/g

export interface Import {
  /** As written. */
  readonly specifier: string
  readonly typesOnly: boolean
}

/** What a file imports or exports again, dynamic imports included. */
export function importsOf(source: SourceFile): readonly Import[] {
  return Array.from(source.withoutComments.matchAll(IMPORT), ([, type, from, bare]) => ({
    specifier: from ?? bare ?? '',
    typesOnly: type !== undefined,
  }))
}

/** The lines that hold nothing but a comment. */
export function commentLines(source: SourceFile): readonly string[] {
  const rest = source.withoutComments.split('\n')
  return source.text
    .split('\n')
    .filter((line, index) => line.trim() !== '' && rest[index]?.trim() === '')
}
