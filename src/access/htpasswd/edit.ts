// Changes to the text of a file of accounts. Whatever is not about the account stays as it stands:
// comments, order, other people's lines.
import { nameOnLine } from './parse.ts'

/** Undefined where the account is there already. */
export function addAccount(text: string, name: string, hash: string): string | undefined {
  if (hasAccount(text, name)) return undefined
  const before = text === '' || text.endsWith('\n') ? text : `${text}\n`
  return `${before}${name}:${hash}\n`
}

/** In its place; doubles of it go. Undefined where there is no such account. */
export function replacePassword(text: string, name: string, hash: string): string | undefined {
  if (!hasAccount(text, name)) return undefined
  let isWritten = false
  return editLines(text, line => {
    if (nameOnLine(line) !== name) return line
    if (isWritten) return undefined
    isWritten = true
    return `${name}:${hash}`
  })
}

/** With doubles of it. Undefined where there is no such account. */
export function removeAccount(text: string, name: string): string | undefined {
  if (!hasAccount(text, name)) return undefined
  return editLines(text, line => (nameOnLine(line) === name ? undefined : line))
}

function hasAccount(text: string, name: string): boolean {
  return text.split('\n').some(line => nameOnLine(line) === name)
}

function editLines(text: string, edit: (line: string) => string | undefined): string {
  return text
    .split('\n')
    .flatMap(line => edit(line) ?? [])
    .join('\n')
}
