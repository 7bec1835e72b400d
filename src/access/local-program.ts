// Is this a registry client on this machine, that somebody runs there? A loopback address alone
// says little: behind a proxy or a forwarder everybody has one, and a web page can aim a browser at
// it, also under a name of its own (DNS rebinding). So all signs must agree, and a refusal names
// the first that did not. A forwarder that root or a person runs cannot be told from a client;
// SECURITY.md says so.
import type { Owner, Principal } from './access.ts'
import { SENT_WITH_LOGINS, unusualHeader } from './client-headers.ts'
import { isLoopback, isLoopbackName } from './loopback.ts'

/** Whoever calls by another way: what to do instead. */
const CALL_DIRECTLY = 'call the registry itself, on localhost and its own port'

/**
 * Undefined when all that the request tells agrees; else what spoke against it, and what to do, for
 * the client to read. `known`: headers that speak against nothing.
 */
export function whyNoLocalProgram(
  principal: Principal,
  known?: ReadonlySet<string>,
): string | undefined {
  const { address, host, isForwarded, isHttp10, rawHeaders } = principal
  if (isForwarded) return `this request was passed on by a proxy; ${CALL_DIRECTLY}`
  if (address === undefined || !isLoopback(address)) {
    return 'this request comes from another address; run the client on that machine, with localhost as the registry'
  }
  // What nginx before 1.29.7 speaks to what is behind it, when nobody told it otherwise.
  if (isHttp10) {
    return `this request was passed on by a proxy (it came in HTTP/1.0, which no client speaks); ${CALL_DIRECTLY}`
  }
  const header = unusualHeader(rawHeaders, known)
  if (header !== undefined) {
    return `this request has a header that no registry client sends by itself (${header}), so somebody passed it on or wrote it by hand; ${CALL_DIRECTLY}`
  }
  if (host === undefined || !isLoopbackName(host)) {
    return 'this request calls the registry by a name that is not of this machine alone; use localhost or 127.0.0.1 as the registry'
  }
  return undefined
}

/**
 * Does all but its owner say that it calls from here by a name of here? Logged in or not, and for
 * a pull or a write.
 */
export function mayCallFromHere(principal: Principal): boolean {
  return whyNoLocalProgram(principal, SENT_WITH_LOGINS) === undefined
}

/**
 * Where Debian, Red Hat and systemd let persons begin; below are the users of the system and of its
 * daemons.
 */
const FIRST_PERSON = 1_000
/**
 * What systemd gives to services while they run, up to `nobody` and the number that means none; not
 * persons', though above 1000.
 */
const SERVICES = { first: 61_184, last: 65_535 } as const

const NOBODY = 65_534
const NOBODY_HINT =
  ', which all but root are where the server has a user namespace of its own, as by PrivateUsers= of systemd'

/** May whoever runs the program at the other end write here? Undefined: yes. */
export function whyNotOwner(owner: Owner, serverUid: number | undefined): string | undefined {
  if (owner.kind === 'unknown') {
    return `this system does not say who runs the program at the other end of this connection (${owner.reason}); ${CALL_DIRECTLY}`
  }
  const { uid } = owner
  const hint = uid === NOBODY ? NOBODY_HINT : ''
  const isPerson = uid >= FIRST_PERSON && !(uid >= SERVICES.first && uid <= SERVICES.last)
  if (uid === 0 || uid === serverUid || isPerson) return undefined
  return `the program at the other end of this connection runs as a service's user (uid ${uid}${hint}), as proxies do, and not as root, a person or this server's own; ${CALL_DIRECTLY}`
}
