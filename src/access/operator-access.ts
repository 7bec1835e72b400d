// Who may use the operator's API over the network: whom a rule about the whole edge allows `admin`,
// and who is known by a name, an account or a certificate. That it is a program of this machine, or
// that it calls from somewhere, helps nobody. Judged by the rules and accounts of now each time.
import ipaddr from 'ipaddr.js'
import type { Principal, Refusal } from './access.ts'
import { askForLogin, whyUnidentified } from './challenge.ts'
import { refuseAtTheDoor } from './door.ts'
import { type AccessSettings, createBookOf } from './local-access.ts'
import { isSomebody } from './names.ts'

/** Each time accounts have changed while a login was tried; then it is refused. */
const LOGINS_MAX = 3

export class OperatorAccess {
  readonly #settings: () => AccessSettings
  readonly #bookOf = createBookOf()

  /** @param settings are asked for at each question: a reload changes them */
  constructor(settings: () => AccessSettings) {
    this.#settings = settings
  }

  /** `names`: by which it may be called beside loopback names and addresses. Undefined: it may. */
  async refuse(principal: Principal, names: readonly string[]): Promise<Refusal | undefined> {
    const { certificate, host = '' } = principal
    if (certificate.kind === 'refused') return { kind: 'denied', reason: certificate.reason }
    // A page whose name leads here calls by that name; no name is an address.
    const refusal = refuseAtTheDoor(principal, isAddress(host) ? undefined : names)
    if (refusal !== undefined) return refusal
    for (let tried = 0; tried < LOGINS_MAX && this.#needsLogin(principal); tried += 1)
      await principal.findLogin()
    return this.#decide(principal)
  }

  #needsLogin({ login }: Principal): boolean {
    return login === undefined && this.#settings().accounts !== undefined
  }

  #decide({ login: found, certificate: shown, address }: Principal): Refusal | undefined {
    const { accounts, rules } = this.#settings()
    const wrong = accounts && whyUnidentified(found, accounts)
    if (wrong !== undefined) return wrong
    const login = accounts && found
    const account = login?.kind === 'account' ? login : undefined
    const certificate = shown.kind === 'named' ? shown.names : undefined
    if (account === undefined && certificate === undefined)
      return accounts === undefined ? NOBODY : askForLogin(accounts, login)
    // Of a token server's token all else is denied than what it grants.
    if (account?.grants !== undefined) return NOT_ALLOWED
    const party = this.#bookOf(this.#settings())?.partyOf({
      address,
      account,
      certificate,
      isLocal: () => false,
    })
    const verdict = party?.judge({ key: undefined, action: 'admin' })
    const rule = verdict?.rule === undefined ? undefined : rules[verdict.rule]
    if (verdict?.isAllowed === true && rule && isSomebody(rule.who)) return undefined
    // Beside a certificate that is not enough somebody may want to log in.
    return account === undefined && accounts !== undefined
      ? askForLogin(accounts, login)
      : NOT_ALLOWED
  }
}

function isAddress(host: string): boolean {
  const [, ipv6, name = ''] = /^(?:\[(.*)\]|([^:]*))(?::\d{1,5})?$/.exec(host) ?? []
  return ipv6 === undefined ? ipaddr.IPv4.isValidFourPartDecimal(name) : ipaddr.IPv6.isValid(ipv6)
}

const NOBODY: Refusal = {
  kind: 'denied',
  reason: 'the operator’s API is for who shows a certificate that a rule of access allows admin',
}
const NOT_ALLOWED: Refusal = {
  kind: 'denied',
  reason: 'no rule of access allows admin to this client, with match "**"',
}
