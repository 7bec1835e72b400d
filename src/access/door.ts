// What speaks against any answer, whoever it is for: a browser asks, or the edge is called by a
// name that its operator does not list.
import type { Principal, Refusal } from './access.ts'
import { isLoopbackName } from './loopback.ts'
import { browserMark } from './marks.ts'

/** `hosts`: see AccessSettings. Undefined: nothing speaks against it. */
export function refuseAtTheDoor(
  { rawHeaders, host = '' }: Principal,
  hosts: readonly string[] | undefined,
): Refusal | undefined {
  const mark = browserMark(rawHeaders)
  if (mark !== undefined) {
    const reason = `this registry answers no web pages (${mark} says that a browser asks): use a registry client, or curl`
    return { kind: 'denied', reason }
  }
  if (hosts === undefined || isLoopbackName(host) || isOneOf(host, hosts)) return undefined
  const reason =
    'this registry is not called by this name: its operator lists those that it answers to (http.hosts)'
  return { kind: 'denied', reason }
}

export const PORT = /:\d{1,5}$/

/** With its port, or whatever port it has. */
export function isOneOf(host: string, hosts: readonly string[]): boolean {
  const name = host.toLowerCase()
  return hosts.includes(name) || hosts.includes(name.replace(PORT, ''))
}

/** As certificates may have it: itself, and by a pattern for its first part (RFC 9525, 6.3). */
export function spellingsOf(name: string): readonly [exact: string, pattern: string] {
  const exact = name.toLowerCase().replace(/\.$/, '')
  return [exact, exact.replace(/^[^.]+/, '*')]
}
