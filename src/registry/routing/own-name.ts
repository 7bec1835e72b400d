// How people write this edge itself in front of an image, as they type it to a client:
// `localhost:5000/library/alpine`. A client takes that part for whom it asks, so it is no part of
// the repository's name. Pure.
import type { RouteOptions } from './route.ts'

/**
 * Names of this machine for itself, with which a port has to say that this very edge is meant: bare
 * `localhost` is a namespace.
 */
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/

export interface EdgeNames extends Pick<RouteOptions, 'ownNames' | 'virtualHosts'> {
  /**
   * What this machine is called, by itself and by its certificate; with a port they mean this edge
   * when it is its own.
   */
  readonly machineNames: ReadonlySet<string>
}

export interface OwnAddress {
  /** Where clients are heard; undefined before. */
  readonly port: number | undefined
  /** What the machine calls itself. */
  readonly hostname: string | undefined
}

/** With its domain and without, and what the certificate is for. */
export function namesOfMachine(
  hostname = '',
  certified: readonly string[] = [],
): ReadonlySet<string> {
  const [short = ''] = hostname.split('.', 1)
  return new Set([hostname, short, ...certified].map(name => name.toLowerCase()))
}

/** Clients leave these out. */
const PORTS_LEFT_OUT = new Set([80, 443])

/**
 * The edge that `text` begins with, as a client would send it in `Host`; undefined when it begins
 * with none. `port`: where clients are heard.
 */
export function ownNameIn(
  text: string,
  { ownNames, virtualHosts, machineNames }: EdgeNames,
  port: number | undefined,
): string | undefined {
  const slash = text.indexOf('/')
  if (slash === -1) return undefined
  const authority = text.slice(0, slash).toLowerCase()
  const [, host = '', itsPort] = /^(.*?)(?::([0-9]+))?$/.exec(authority) ?? []
  const isNamed = [authority, host].some(name => ownNames.has(name) || virtualHosts.has(name))
  const isPort = itsPort !== undefined && Number(itsPort) === port
  const isLeftOut = itsPort === undefined && port !== undefined && PORTS_LEFT_OUT.has(port)
  const isHere = isPort && LOOPBACK.test(host)
  // Clients take a name without a dot or port for no host: `team/app` is a repository, whatever the
  // machine is called.
  const isHost = isPort || (isLeftOut && host.includes('.'))
  const isMachine = isHost && machineNames.has(host)
  return isNamed || isHere || isMachine ? authority : undefined
}
