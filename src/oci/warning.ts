// Warning headers (distribution-spec "Warnings"; R13): exactly `299 - "text"`, one per header line,
// because container-libs drops every other form and does not split lines. HTTP itself has retired
// this header; registries have not.
import { quote, splitQuoted, unquote } from './header-list.ts'

/** All warnings of one response together (distribution-spec "Warnings"). */
export const WARNINGS_MAX_BYTES = 4_096

const PREFIX = '299 - '
const PRINTABLE = /^[\x20-\x7e]+$/

/**
 * Header values for `texts`, in order; those that no longer fit into WARNINGS_MAX_BYTES are left
 * out. Characters that may not stand in a header become `?`.
 */
export function formatWarnings(texts: readonly string[]): readonly string[] {
  return withinLimit(texts.map(text => PREFIX + quote(text.replace(/[^\x20-\x7e]/g, '?'))))
}

/**
 * The texts of an upstream's `Warning` headers; other codes, agents and dates are left out. Never
 * throws.
 */
export function parseWarnings(headerValues: readonly string[]): readonly string[] {
  const members = headerValues.flatMap(header => splitQuoted(header, ','))
  return withinLimit(members).flatMap(member => {
    const text = member.startsWith(PREFIX) ? unquote(member.slice(PREFIX.length)) : undefined
    return text !== undefined && PRINTABLE.test(text) ? [text] : []
  })
}

function withinLimit(values: readonly string[]): readonly string[] {
  let bytes = 0
  return values.filter(value => {
    if (bytes + value.length > WARNINGS_MAX_BYTES) return false
    bytes += value.length
    return true
  })
}
