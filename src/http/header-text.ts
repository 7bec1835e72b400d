// What may stand in a header's value (R190): node refuses CR and LF by itself but lets Latin-1 and
// what looks like it pass.

const PRINTABLE = /^[\t\x20-\x7e]*$/

/** Printable ASCII, spaces and tabs. */
export function isPrintable(text: string): boolean {
  return PRINTABLE.test(text)
}
