// Who may do what, said a second time and in the simplest way: a list of rules, the first of which
// that is about somebody and a name decides. What the edge does is held against it. It shares no
// code with `src/access/`, and knows of patterns only that they end.

export type Right = 'pull' | 'push' | 'delete' | 'list'

/** `under`: what names begin with; empty: all of them. */
export interface ModelRule {
  readonly who: string
  readonly under: string
  readonly allow: readonly Right[]
}

/** As the configuration has them. */
export function asConfigured(rules: readonly ModelRule[]): readonly object[] {
  return rules.map(({ who, under, allow }) => ({ who, match: `${under}**`, allow }))
}

export interface Asker {
  readonly name: string
  /** As what rules may be about it. None: its credentials are nobody's. */
  readonly whos: ReadonlySet<string>
  /** Has it shown credentials that are good? */
  readonly isKnown: boolean
  /** What its token allows. Default: no token has to. */
  readonly grants?: Grants
  /** It shows a certificate that is nobody's: nothing is answered to it. Default: false. */
  readonly isBarred?: boolean
}

/** Of a token server's token. */
export interface Grants {
  /** By canonical name. */
  readonly of: ReadonlyMap<string, readonly Right[]>
  readonly hasCatalog: boolean
}

/** Has `asker` the right to what is under exactly this name? A token has to say so as well. */
export function mayDo(
  rules: readonly ModelRule[],
  asker: Asker,
  asked: { readonly right: Right; readonly repository: string },
): boolean {
  return isGranted(asker, asked) && mayByRules(rules, asker, asked)
}

/** Who pushes reads as well. */
function isGranted(
  { grants }: Asker,
  { right, repository }: { readonly right: Right; readonly repository: string },
): boolean {
  if (grants === undefined) return true
  const granted = grants.of.get(repository) ?? []
  return granted.includes(right) && (right !== 'push' || granted.includes('pull'))
}

export function mayByRules(
  rules: readonly ModelRule[],
  asker: Asker,
  asked: { readonly right: Right; readonly repository: string },
): boolean {
  const { right, repository } = asked
  for (const { who, under, allow } of rules)
    if (asker.whos.has(who) && repository.startsWith(under)) return allow.includes(right)
  return false
}

/** What is told of what `asker` may not do: to a read 404, by the words for what is not there. */
export function refusalOf(
  asker: Asker,
  asked: { readonly right: Right; readonly repository: string },
): 401 | 403 | 404 {
  const { right } = asked
  if (asker.isBarred === true) return 403
  if (!asker.isKnown || !isGranted(asker, asked)) return 401
  return right === 'pull' ? 404 : 403
}
