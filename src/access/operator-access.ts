// Who may use the operator's API over the network: whom a rule about the whole edge allows `admin`,
// and who is known by a name, an account or a certificate. That it is a program of this machine, or
// that it calls from somewhere, helps nobody. Judged by the rules and accounts of now each time.
import ipaddr from 'ipaddr.js'
import type { Principal, Refusal } from './access.ts'
import type { AccountsSettings, Login } from './accounts.ts'
import { askForLogin, whyUnidentified } from './challenge.ts'
import { PORT, refuseAtTheDoor, spellingsOf } from './door.ts'
import { type AccessSettings, createBookOf } from './local-access.ts'
import { formatName, isSomebody, type Who } from './names.ts'
import type { AccessRule } from './rule.ts'
import type { Asker, Rulebook } from './rulebook.ts'
import type { Verdict } from './verdict.ts'

/** Each time accounts have changed while a login was tried; then it is refused. */
const LOGINS_MAX = 3

/**
 * `who`: as the audit log calls it. `account`: as which it has logged in, where it is let in as
 * somebody else.
 */
export type OperatorVerdict =
  | { readonly refusal: Refusal }
  | { readonly refusal: undefined; readonly who: string; readonly account: string | undefined }

/** What the rules say, of whoever is known by a name; of all others they let nobody in. */
export function judgeOperator(
  asker: Asker,
  book: Rulebook | undefined,
  rules: readonly AccessRule[],
): Verdict & { readonly by: Who | undefined } {
  const isKnown = asker.account !== undefined || asker.certificate !== undefined
  const verdict = isKnown
    ? book?.partyOf(asker)?.judge({ key: undefined, action: 'admin' })
    : undefined
  const { isAllowed = false, rule } = verdict ?? {}
  const by = rule === undefined ? undefined : rules[rule]?.who
  return { isAllowed: isAllowed && by !== undefined && isSomebody(by), rule, by }
}

export class OperatorAccess {
  readonly #settings: () => AccessSettings
  readonly #bookOf = createBookOf()

  /** @param settings are asked for at each question: a reload changes them */
  constructor(settings: () => AccessSettings) {
    this.#settings = settings
  }

  /** `certified`: the names, and patterns of names, that the edge has certificates for. */
  async judge(principal: Principal, certified: readonly string[]): Promise<OperatorVerdict> {
    const { certificate, host = '' } = principal
    if (certificate.kind === 'refused')
      return { refusal: { kind: 'denied', reason: certificate.reason } }
    // A page whose name leads here calls by that name; no name is an address.
    const names = isAddress(host) ? undefined : this.#namesFor(host, certified)
    const refusal = refuseAtTheDoor(principal, names)
    if (refusal !== undefined) return { refusal }
    for (let tried = 0; tried < LOGINS_MAX && this.#needsLogin(principal); tried += 1)
      await principal.findLogin()
    return this.#decide(principal)
  }

  /** By which it may be called beside loopback names: the edge's own, and those of certificates. */
  #namesFor(host: string, certified: readonly string[]): readonly string[] {
    const { url, hosts = [] } = this.#settings().publicNames ?? {}
    const name = host.replace(PORT, '').toLowerCase()
    const byPattern = certified.includes(spellingsOf(name)[1]) ? [name] : []
    const byUrl = url === undefined ? [] : [new URL(url).hostname]
    return [...hosts, ...certified, ...byPattern, ...byUrl]
  }

  #needsLogin({ login }: Principal): boolean {
    return login === undefined && this.#settings().accounts !== undefined
  }

  #decide({ login: found, certificate: shown, address }: Principal): OperatorVerdict {
    const { accounts, rules } = this.#settings()
    const wrong = accounts && whyUnidentified(found, accounts)
    if (wrong !== undefined) return { refusal: wrong }
    const login = accounts && found
    const account = login?.kind === 'account' ? login : undefined
    const certificate = shown.kind === 'named' ? shown.names : undefined
    if (account === undefined && certificate === undefined)
      return { refusal: accounts === undefined ? NOBODY : askOperator(accounts, login) }
    // Of a token server's token all else is denied than what it grants.
    if (account?.grants !== undefined) return { refusal: NOT_ALLOWED }
    const asker = { address, account, certificate, isLocal: () => false }
    const { isAllowed, rule, by } = judgeOperator(asker, this.#bookOf(this.#settings()), rules)
    if (isAllowed && by !== undefined) return { refusal: undefined, ...nameLetIn(by, asker) }
    // Beside a certificate that is not enough somebody may want to log in.
    const mayLogIn = account === undefined && accounts !== undefined
    if (mayLogIn) return { refusal: askOperator(accounts, login) }
    return { refusal: rule === undefined ? NOT_ALLOWED : { ...NOT_ALLOWED, by: `access[${rule}]` } }
  }
}

/**
 * Of a certificate's names the one that a rule is about; whose machine it is, is no account. An
 * account is let in as itself, also by its group.
 */
function nameLetIn(by: Who, { account, certificate = [] }: Pick<Asker, 'account' | 'certificate'>) {
  if (by.kind === 'certificate') return { who: formatName(by), account: account?.name }
  const [name = ''] = certificate
  return { who: account?.name ?? formatName({ kind: 'certificate', name }), account: undefined }
}

/** In words for an operator, who has no client of registries here. */
function askOperator(accounts: AccountsSettings, login: Login | undefined): Refusal {
  return { ...askForLogin(accounts, login), reason: LOG_IN }
}

function isAddress(host: string): boolean {
  const [, ipv6, name = ''] = /^(?:\[(.*)\]|([^:]*))(?::\d{1,5})?$/.exec(host) ?? []
  return ipv6 === undefined ? ipaddr.IPv4.isValidFourPartDecimal(name) : ipaddr.IPv6.isValid(ipv6)
}

const LOG_IN =
  'the operator’s API asks for a login of whom a rule of access allows admin: a token, or a name and password'
const NOBODY: Refusal = {
  kind: 'denied',
  reason: 'the operator’s API is for who shows a certificate that a rule of access allows admin',
}
const NOT_ALLOWED = {
  kind: 'denied',
  reason: 'no rule of access allows admin to this client, with match "**"',
} as const
