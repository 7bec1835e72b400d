// Access as every thread decides it. Web pages get nothing. Where there are accounts, credentials
// are somebody's or refused; where there are none they are refused where a login would try them,
// lest they be taken for good. What is left is the operator's rules to say (rulebook.ts), or what
// holds without any (decide-without-rules.ts).
import { type Repository, type RepositoryKey, repositoryKey } from '../oci/reference.ts'
import type {
  Access,
  AccessRequest,
  Action,
  Decision,
  NamesForCaller,
  Principal,
  PublicNames,
  Refusal,
} from './access.ts'
import type { AccountsSettings, Login } from './accounts.ts'
import { askForLogin, whyUnidentified } from './challenge.ts'
import { isOneOf, refuseAtTheDoor } from './door.ts'
import { isGranted } from './grants.ts'
import { hasCredentials } from './marks.ts'
import { asMet, decideByRules } from './decide-by-rules.ts'
import { decideNowWithoutRules, decideWithoutRules, type Unruled } from './decide-without-rules.ts'
import { mayCallFromHere } from './local-program.ts'
import { Locals, type LocalSettings } from './locals.ts'
import type { AccessRule } from './rule.ts'
import { Revision } from './revision.ts'
import { type Asker, type Party, Rulebook } from './rulebook.ts'

/** Values, so that each thread can be given them. */
export interface AccessSettings extends LocalSettings {
  /**
   * Host names, with or without a port, in lower case, by which this registry may be called beside
   * loopback names. Undefined: by any.
   */
  readonly hosts: readonly string[] | undefined
  /**
   * Names as in `hosts`, by which nobody is asked for a login: who shows none is anonymous.
   * Default: none.
   */
  readonly anonymousHosts?: readonly string[]
  /** Default: there is no public name. */
  readonly publicNames?: PublicNames
  /** The first that is about a request decides. Empty: there are none. */
  readonly rules: readonly AccessRule[]
  /** Default: nobody is asked for a login. */
  readonly accounts?: AccountsSettings | undefined
}

/**
 * @param settings are asked for at each question: a reload changes them
 * @param revision theirs. Default: they are never behind
 */
export function createLocalAccess(
  settings: () => AccessSettings,
  revision: Access['revision'] = new Revision(),
): Access {
  return new LocalAccess(settings, revision)
}

type About = 'ping' | Parameters<Access['meet']>[1]

class LocalAccess implements Access {
  readonly revision: Access['revision']
  readonly #settings: () => AccessSettings
  readonly #locals: Locals
  /** One for all: it is asked for each answer from memory. */
  readonly #unruled: Unruled
  readonly #bookOf = createBookOf()

  constructor(settings: () => AccessSettings, revision: Access['revision']) {
    this.#settings = settings
    const locals = new Locals(settings)
    this.#locals = locals
    this.#unruled = {
      locals,
      get accounts() {
        return settings().accounts
      },
    }
    this.revision = revision
  }

  namesFor(principal: Principal): NamesForCaller {
    const isHere = this.#locals.callsFromHere(principal)
    return { ...(this.#settings().publicNames ?? NO_NAMES), isHere }
  }

  admit(principal: Principal): Refusal | undefined {
    const { certificate } = principal
    if (certificate.kind === 'refused') return { kind: 'denied', reason: certificate.reason }
    return refuseAtTheDoor(principal, this.#settings().hosts)
  }

  judgeCredentials(principal: Principal, about: 'ping' | 'write'): Refusal | undefined {
    const { accounts } = this.#settings()
    if (accounts === undefined) return this.#tell(principal, refuseCredentials(principal))
    // What a write may do with them is decided.
    if (about === 'write') return undefined
    const wrong = whyUnidentified(principal.login, accounts)
    if (wrong !== undefined) return this.#tell(principal, wrong)
    const { login } = principal
    // A token of nobody's is as good as any, and clients have it from here.
    if (login?.kind !== 'anonymous' || login.byToken === true) return undefined
    return this.#mayNeedLogin(principal) ? askForLogin(accounts, login) : undefined
  }

  judgeLogin(principal: Principal, login: Login): Refusal | undefined {
    const { accounts } = this.#settings()
    return this.#tell(principal, accounts && whyUnidentified(login, accounts))
  }

  identify(principal: Principal): Promise<void> | undefined {
    return this.#findOut(principal, 'ping')
  }

  meet(principal: Principal, about: 'pull' | 'pull or push'): Promise<void> | undefined {
    return this.#findOut(principal, about)
  }

  decide(request: AccessRequest): Decision {
    const { principal } = request
    const { accounts } = this.#settings()
    const wrong = accounts && whyUnidentified(principal.login, accounts)
    if (wrong !== undefined) return this.#tell(principal, wrong)
    const ungranted = this.#refuseUngranted(request)
    if (ungranted !== undefined) return ungranted
    const book = this.#book
    const decision =
      book === undefined
        ? decideWithoutRules(request, this.#unruled)
        : decideByRules(book, this.#askerOf(principal, request.action), request)
    // Whatever rules say to everybody, it takes a token.
    if (decision.kind === 'allowed' && accounts?.tokenServer !== undefined) return TO_SOME
    // Also of who shows a certificate: somebody may want to log in by its machine.
    const mayHelp = principal.login?.kind === 'anonymous' && !this.#asksNobody(principal)
    if (accounts === undefined || decision.kind === 'allowed' || !mayHelp) return decision
    return askForLogin(accounts, principal.login, 'by' in decision ? decision.by : undefined)
  }

  decideNow(
    principal: Principal,
    repository: Repository,
    action: 'pull' | 'push',
  ): boolean | undefined {
    if (!this.revision.isHeld || principal.certificate.kind === 'refused') return undefined
    const { accounts } = this.#settings()
    // Credentials that have to be tried, or are nobody's.
    if (accounts && whyUnidentified(principal.login, accounts) !== undefined) return undefined
    const server = accounts?.tokenServer
    if (server && !isGranted(principal.login, { resource: repository, action }, server))
      return false
    const book = this.#book
    if (book === undefined) return decideNowWithoutRules(principal, action, this.#unruled)
    const party = book.partyOf(this.#askerOf(principal, action))
    return party?.judge({ key: repositoryKey(repository), action }).isAllowed
  }

  /** What the token of who asks does not allow, whatever rules say. Undefined: that it does. */
  #refuseUngranted(request: AccessRequest): Decision | undefined {
    const { accounts } = this.#settings()
    const { login } = request.principal
    const server = accounts?.tokenServer
    if (accounts === undefined || server === undefined) return undefined
    if (isGranted(login, request, server)) return undefined
    return this.#tell(request.principal, askForLogin(accounts, login, UNGRANTED))
  }

  isShown(principal: Principal, repository: Repository): boolean {
    const isRuled = this.#book !== undefined
    return !isRuled || this.#partyOf(principal)?.isShown(repositoryKey(repository)) === true
  }

  nextShown(principal: Principal, key: RepositoryKey): string | undefined {
    return this.#partyOf(principal)?.nextShown(key)
  }

  /** Is it called by a name by which nobody is asked for a login? */
  #asksNobody({ host = '' }: Principal): boolean {
    return isOneOf(host, this.#settings().anonymousHosts ?? [])
  }

  /** Without a challenge where nobody is asked: to some clients that is a demand. */
  #tell<Told extends Refusal | undefined>(principal: Principal, refusal: Told): Told | Denied {
    if (refusal?.kind !== 'unauthorized' || !this.#asksNobody(principal)) return refusal
    return { kind: 'denied', reason: `${refusal.reason}; ${BY_THIS_NAME}` }
  }

  /** Undefined without rules. */
  get #book(): Rulebook | undefined {
    return this.#bookOf(this.#settings())
  }

  /** Programs of the machine have their rights for as long as there is no account. */
  get #isUnowned(): boolean {
    return this.#book === undefined && this.#settings().accounts?.isEmpty === true
  }

  #askerOf(principal: Principal, action: Action): Asker {
    const { address } = principal
    const login = this.#settings().accounts && principal.login
    const account = login?.kind === 'account' ? login : undefined
    const { certificate: shown } = principal
    const certificate = shown.kind === 'named' ? shown.names : undefined
    return { address, account, certificate, isLocal: () => this.#locals.is(principal, action) }
  }

  #partyOf(principal: Principal): Party | undefined {
    return this.#book?.partyOf(asMet(this.#askerOf(principal, 'list')))
  }

  #findOut(principal: Principal, about: About): Promise<void> | undefined {
    const isAsked = this.#settings().accounts !== undefined && principal.login === undefined
    // Whose its credentials are says whether it may be a program of this machine.
    if (!isAsked) return this.#findOwner(principal, about)
    return principal.findLogin().then(() => this.#findOwner(principal, about))
  }

  #findOwner(principal: Principal, about: About): Promise<void> | undefined {
    if (!this.#needsOwner(principal, about)) return undefined
    return principal.findOwner().then(() => {})
  }

  #needsOwner(principal: Principal, about: About): boolean {
    const isAsked = about === 'pull or push' || this.#isUnowned
    const isInRules = about !== 'ping' && this.#book?.isAboutLocals === true
    if ((isAsked || isInRules) && this.#locals.mayBe(principal, 'pull')) return true
    const { accounts, publicNames } = this.#settings()
    return accounts !== undefined && publicNames?.url !== undefined && mayCallFromHere(principal)
  }

  /** Of a ping: may it be that who asks needs a login for anything? */
  #mayNeedLogin(principal: Principal): boolean {
    if (this.#asksNobody(principal)) return false
    if (this.#isUnowned && this.#locals.is(principal, 'pull') === true) return false
    const needsToken = this.#settings().accounts?.tokenServer !== undefined
    return needsToken || this.#book?.isOpenToAll !== true
  }
}

function refuseCredentials({ rawHeaders }: Principal): Refusal | undefined {
  if (!hasCredentials(rawHeaders)) return undefined
  return { kind: 'unauthorized', reason: NO_ACCOUNTS, challenge: NO_REALM }
}

/** Rules are compiled when they are new; they come as the same list until then. */
export function createBookOf(): (settings: AccessSettings) => Rulebook | undefined {
  let compiled:
    | {
        readonly rules: readonly AccessRule[]
        readonly groups: AccountsSettings['groups'] | undefined
        readonly book: Rulebook
      }
    | undefined
  return ({ rules, accounts }) => {
    if (rules.length === 0) return undefined
    const groups = accounts?.groups
    if (compiled?.rules !== rules || compiled.groups !== groups)
      compiled = { rules, groups, book: new Rulebook(rules, groups) }
    return compiled.book
  }
}

/** Of who showed credentials it asks for others: it is HTTP that a 401 does (RFC 9110, 11.6.1). */
const NO_REALM = { kind: 'basic', realm: 'this registry has no accounts' } as const
const NO_ACCOUNTS =
  'this registry has no accounts, so no user name and password are good here: log out (docker logout), and pull without any; programs on its own machine push without any, too'

const NO_NAMES: PublicNames = { url: undefined, hosts: [] }
type Denied = Extract<Refusal, { kind: 'denied' }>

const TO_SOME: Decision = { kind: 'allowed', anonymously: false }
const UNGRANTED = 'no token that was shown grants it'
const BY_THIS_NAME = 'by this name nobody needs to (http.anonymous)'
