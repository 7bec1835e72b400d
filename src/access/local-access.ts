// The rules of a registry without accounts. Everybody may pull and list, but not by way of a web
// page. Credentials are refused where a login would try them, lest they be taken for good. Pushes
// and deletes are for programs of this machine (local-program.ts), unless that is off.
import type { Access, Decision, Owner, Principal } from './access.ts'
import { browserMark, hasCredentials } from './marks.ts'
import { isLoopbackName } from './loopback.ts'
import { whyNoLocalProgram, whyNotOwner } from './local-program.ts'

/** Values, so that each thread can be given them. */
export interface AccessRules {
  /** The user that this server runs as; undefined where systems have no such numbers. */
  readonly serverUid: number | undefined
  /**
   * Why no program of this machine may write, by `http.localpush` or by what it goes by when it is
   * not set; undefined: they may.
   */
  readonly localPushOff: keyof typeof OFF | undefined
  /**
   * Host names, with or without a port, in lower case, by which this registry may be called beside
   * loopback names. Undefined: by any.
   */
  readonly hosts: readonly string[] | undefined
}

/** Why a program that calls from loopback may be what forwards others. */
export type SharedLoopback = 'user namespace' | 'pod'

/**
 * What `localPushOff` is when the configuration says `said`: `unsaid` is as the server's
 * surroundings have it, where what forwards others may call from loopback as clients do.
 */
export function whyLocalPushOff(
  said: 'on' | 'unsaid' | keyof typeof OFF,
  surroundings: SharedLoopback | undefined,
): AccessRules['localPushOff'] {
  if (said === 'unsaid') return surroundings
  return said === 'on' ? undefined : said
}

/** @param rules are asked for at each question: a reload changes them */
export function createLocalAccess(rules: () => AccessRules): Access {
  const allowed: Decision = { kind: 'allowed', anonymously: true }

  /** Without a look at whom it belongs to. */
  function whyNotBySigns(principal: Principal): string | undefined {
    const { localPushOff } = rules()
    return localPushOff === undefined ? whyNoLocalProgram(principal) : OFF[localPushOff]
  }

  /** For whom the signs speak already. */
  const whyNotByOwner = (owner: Owner) => whyNotOwner(owner, rules().serverUid)

  return {
    admit(principal) {
      const mark = browserMark(principal.rawHeaders)
      if (mark !== undefined) {
        const reason = `this registry answers no web pages (${mark} says that a browser asks): use a registry client, or curl`
        return { kind: 'denied', reason }
      }
      const { hosts } = rules()
      if (hosts !== undefined && !isAllowedHost(principal.host ?? '', hosts)) {
        const reason =
          'this registry is not called by this name: its operator lists those that it answers to (http.hosts)'
        return { kind: 'denied', reason }
      }
      return undefined
    },
    judgeCredentials(principal) {
      if (!hasCredentials(principal.rawHeaders)) return undefined
      const reason =
        'this registry has no accounts, so no user name and password are good here: log out (docker logout), and pull without any; programs on its own machine push without any, too'
      return { kind: 'unauthorized', reason }
    },
    async meet(principal) {
      if (whyNotBySigns(principal) === undefined) await principal.findOwner()
    },
    decide({ principal, action }) {
      if (action === 'pull' || action === 'list') return allowed
      const reason = whyNotBySigns(principal) ?? whyNotByOwner(principal.owner ?? NOT_ASKED)
      return reason === undefined
        ? allowed
        : { kind: 'denied', reason: `${RULES[action]}: ${reason}` }
    },
    classOf(principal, about) {
      if (about === 'pull') return 'anybody'
      if (whyNotBySigns(principal) !== undefined) return 'somebody'
      if (principal.owner === undefined) return undefined
      return whyNotByOwner(principal.owner) === undefined ? 'local program' : 'somebody'
    },
  }
}

const OFF = {
  'set to false': 'and not from these either, because http.localpush is false',
  'public name':
    'and from these only with http.localpush: true, because http.host says that others come to it by another name, perhaps through a proxy on its machine',
  certificate:
    'and from these only with http.localpush: true, because its certificate is for names by which others come to it',
  'user namespace':
    'and from these only with http.localpush: true, because it runs in a container whose root is another user outside (rootless, userns-remap, unprivileged LXC), where what is forwarded from outside can look like them',
  pod: 'and from these only with http.localpush: true, because it runs in a pod, where what another container forwards looks like them',
} as const

/** Without `meet` nobody writes. */
const NOT_ASKED: Owner = { kind: 'unknown', reason: 'it was not asked' }

const RULES = {
  push: 'until this registry has accounts it takes pushes only from programs on its own machine',
  delete: 'until this registry has accounts it deletes only for programs on its own machine',
} as const

const PORT = /:\d{1,5}$/

function isAllowedHost(host: string, hosts: readonly string[]): boolean {
  if (isLoopbackName(host)) return true
  const name = host.toLowerCase()
  return hosts.includes(name) || hosts.includes(name.replace(PORT, ''))
}
