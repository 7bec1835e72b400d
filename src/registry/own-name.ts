// How people write this edge itself in front of an image, as they type it to a client: `localhost:5000/library/alpine`. A client takes
// that part for whom it asks, so it is no part of the repository's name. Pure.
import type { RouteOptions } from './route.ts'

/** Names of this machine for itself, with which a port has to say that this very edge is meant: bare `localhost` is a namespace. */
const LOOPBACK = /^(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/

/** The edge that `text` begins with, as a client would send it in `Host`; undefined when it begins with none. `port`: where clients are heard. */
export function ownNameIn(
  text: string,
  { ownNames, virtualHosts }: Pick<RouteOptions, 'ownNames' | 'virtualHosts'>,
  port: number | undefined,
): string | undefined {
  const slash = text.indexOf('/')
  if (slash === -1) return undefined
  const authority = text.slice(0, slash).toLowerCase()
  const [, host = '', itsPort] = /^(.*?)(?::([0-9]+))?$/.exec(authority) ?? []
  const isNamed = [authority, host].some(name => ownNames.has(name) || virtualHosts.has(name))
  const isHere = LOOPBACK.test(host) && itsPort !== undefined && Number(itsPort) === port
  return isNamed || isHere ? authority : undefined
}
