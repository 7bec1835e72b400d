// Tags that are semantic versions, and their order (semver.org, 2.0.0, clauses 2 to 11). As tags
// write them: with a `v` before or not, and `_` for the `+` that no tag can have.

const NUMBER = '(0|[1-9]\\d*)'
const WORDS = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*'
const VERSION = new RegExp(`^v?${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-(${WORDS}))?(?:_${WORDS})?$`)
const DIGITS = /^\d+$/

export interface Version {
  /** Major, minor and patch, as they are written: they may be of any length. */
  readonly numbers: readonly string[]
  /** Empty for a release, which is higher than its pre-releases. */
  readonly prerelease: readonly string[]
}

/** Undefined for what is no version: `1.2` is none, and `latest`. */
export function versionOf(tag: string): Version | undefined {
  const match = VERSION.exec(tag)
  if (match === null) return undefined
  const [, major = '', minor = '', patch = '', prerelease] = match
  const words = prerelease === undefined ? [] : prerelease.split('.')
  // Clause 9: numbers have no zeros before them.
  if (words.some(word => /^0\d+$/.test(word))) return undefined
  return { numbers: [major, minor, patch], prerelease: words }
}

/** Below 0 when `a` is lower. What is written after `_` makes no difference. */
export function compareVersions(a: Version, b: Version): number {
  return (
    compareLists(a.numbers, b.numbers) ||
    Number(a.prerelease.length === 0) - Number(b.prerelease.length === 0) ||
    compareLists(a.prerelease, b.prerelease)
  )
}

function compareLists(a: readonly string[], b: readonly string[]): number {
  for (const [index, word] of a.entries()) {
    const other = b[index]
    if (other === undefined) return 1
    const order = compareWords(word, other)
    if (order !== 0) return order
  }
  return a.length - b.length
}

function compareWords(a: string, b: string): number {
  const isNumber = DIGITS.test(a)
  if (isNumber !== DIGITS.test(b)) return isNumber ? -1 : 1
  if (isNumber && a.length !== b.length) return a.length - b.length
  return a === b ? 0 : a < b ? -1 : 1
}
