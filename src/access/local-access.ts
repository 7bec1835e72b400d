// Access to a registry without accounts. Web pages get nothing, and credentials are refused where a
// login would try them, lest they be taken for good. What is left is the operator's rules to say
// (rulebook.ts). Without any, everybody may pull and list; pushes and deletes are for programs of
// this machine (local-program.ts), unless that is off.
import { repositoryKey } from '../oci/reference.ts'
import type { Access, AccessRequest, Decision, Owner, Principal, Refusal } from './access.ts'
import { browserMark, hasCredentials } from './marks.ts'
import { isLoopbackName } from './loopback.ts'
import { whyNoLocalProgram, whyNotOwner } from './local-program.ts'
import { LOCAL_PUSH_OFF } from './local-push.ts'
import type { AccessRule } from './rule.ts'
import { asMet, decideByRules } from './decide-by-rules.ts'
import { Revision } from './revision.ts'
import { type Caller, Rulebook } from './rulebook.ts'

/** Values, so that each thread can be given them. */
export interface AccessSettings {
  /** The user that this server runs as; undefined where systems have no such numbers. */
  readonly serverUid: number | undefined
  /**
   * Why no program of this machine may write, by `http.localpush` or by what it goes by when it is
   * not set; undefined: they may.
   */
  readonly localPushOff: keyof typeof LOCAL_PUSH_OFF | undefined
  /**
   * Host names, with or without a port, in lower case, by which this registry may be called beside
   * loopback names. Undefined: by any.
   */
  readonly hosts: readonly string[] | undefined
  /** The first that is about a request decides. Empty: there are none. */
  readonly rules: readonly AccessRule[]
}

/**
 * @param settings are asked for at each question: a reload changes them
 * @param revision theirs. Default: they are never behind
 */
export function createLocalAccess(
  settings: () => AccessSettings,
  revision: Access['revision'] = new Revision(),
): Access {
  const bookOf = createBookOf()

  /** Undefined without rules. */
  const findBook = () => bookOf(settings().rules)

  /** Without a look at whom it belongs to. */
  function whyNotBySigns(principal: Principal): string | undefined {
    const { localPushOff } = settings()
    return localPushOff === undefined ? whyNoLocalProgram(principal) : LOCAL_PUSH_OFF[localPushOff]
  }

  /** For whom the signs speak already. */
  const whyNotByOwner = (owner: Owner) => whyNotOwner(owner, settings().serverUid)

  /** Undefined before `meet`. */
  function isLocal(principal: Principal): boolean | undefined {
    if (whyNotBySigns(principal) !== undefined) return false
    return principal.owner && whyNotByOwner(principal.owner) === undefined
  }

  const callerOf = (principal: Principal): Caller => ({
    address: principal.address,
    isLocal: () => isLocal(principal),
  })

  const partyOf = (principal: Principal) => findBook()?.partyOf(asMet(callerOf(principal)))

  function decideWithoutRules({ principal, action }: AccessRequest): Decision {
    if (action === 'pull' || action === 'list') return ALLOWED
    const reason = whyNotBySigns(principal) ?? whyNotByOwner(principal.owner ?? NOT_ASKED)
    return reason === undefined
      ? ALLOWED
      : { kind: 'denied', reason: `${UNRULED[action]}: ${reason}` }
  }

  return {
    revision,
    admit: principal => refuseAtTheDoor(principal, settings().hosts),
    judgeCredentials(principal) {
      if (!hasCredentials(principal.rawHeaders)) return undefined
      return { kind: 'unauthorized', reason: NO_ACCOUNTS }
    },
    meet(principal, about) {
      const isAsked = about === 'pull or push' || findBook()?.isAboutLocals === true
      if (!isAsked || whyNotBySigns(principal) !== undefined) return undefined
      return principal.findOwner().then(() => {})
    },
    decide(request) {
      const book = findBook()
      if (book === undefined) return decideWithoutRules(request)
      return decideByRules(book, callerOf(request.principal), request)
    },
    decideNow(principal, repository, action) {
      if (!revision.isHeld) return undefined
      const book = findBook()
      if (book === undefined) return action === 'pull' || isLocal(principal)
      const party = book.partyOf(callerOf(principal))
      return party?.judge({ key: repositoryKey(repository), action }).isAllowed
    },
    isShown: (principal, repository) =>
      findBook() === undefined || partyOf(principal)?.isShown(repositoryKey(repository)) === true,
    nextShown: (principal, key) => partyOf(principal)?.nextShown(key),
  }
}

function refuseAtTheDoor(
  { rawHeaders, host = '' }: Principal,
  hosts: AccessSettings['hosts'],
): Refusal | undefined {
  const mark = browserMark(rawHeaders)
  if (mark !== undefined) {
    const reason = `this registry answers no web pages (${mark} says that a browser asks): use a registry client, or curl`
    return { kind: 'denied', reason }
  }
  if (hosts === undefined || isAllowedHost(host, hosts)) return undefined
  const reason =
    'this registry is not called by this name: its operator lists those that it answers to (http.hosts)'
  return { kind: 'denied', reason }
}

/** Rules are compiled when they are new; they come as the same list until then. */
function createBookOf(): (rules: readonly AccessRule[]) => Rulebook | undefined {
  let compiled: { readonly of: readonly AccessRule[]; readonly book: Rulebook } | undefined
  return rules => {
    if (rules.length === 0) return undefined
    if (compiled?.of !== rules) compiled = { of: rules, book: new Rulebook(rules) }
    return compiled.book
  }
}

const NO_ACCOUNTS =
  'this registry has no accounts, so no user name and password are good here: log out (docker logout), and pull without any; programs on its own machine push without any, too'

const ALLOWED: Decision = { kind: 'allowed', anonymously: true }

/** Without `meet` nobody writes. */
const NOT_ASKED: Owner = { kind: 'unknown', reason: 'it was not asked' }

const UNRULED = {
  push: 'until this registry has accounts it takes pushes only from programs on its own machine',
  delete: 'until this registry has accounts it deletes only for programs on its own machine',
} as const

const PORT = /:\d{1,5}$/

function isAllowedHost(host: string, hosts: readonly string[]): boolean {
  if (isLoopbackName(host)) return true
  const name = host.toLowerCase()
  return hosts.includes(name) || hosts.includes(name.replace(PORT, ''))
}
