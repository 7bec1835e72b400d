// Does one pattern match all that another one matches? Asked of rules of which the first that
// matches holds, so that those that can never hold are told. Only what is sure is said: a pattern
// with choices covers itself alone.

const EVERYTHING = '**'
/** Whatever stands for more than itself. */
const GLOB = /[*?[\]{}()!+@|]/
/** A choice between names of several components cannot be looked at component by component. */
const CHOICE_WITH_SLASH = /[[({][^\])}]*\//

/** Both over names with slashes: repositories, with their host or without. */
export function covers(earlier: string, later: string): boolean {
  if (earlier === later || earlier === EVERYTHING) return true
  if (CHOICE_WITH_SLASH.test(earlier) || CHOICE_WITH_SLASH.test(later)) return false
  const wide = earlier.split('/')
  const narrow = later.split('/')
  for (const [index, component] of wide.entries()) {
    const other = narrow[index]
    if (other === undefined) return false
    if (component === EVERYTHING && index === wide.length - 1) return true
    if (other.includes(EVERYTHING)) return false
    if (component !== '*' && (GLOB.test(component) || component !== other)) return false
  }
  return wide.length === narrow.length
}

/** Both over tags. */
export function coversTag(earlier: string, later: string): boolean {
  return earlier === later || earlier === '*' || earlier === EVERYTHING
}
