// What `status` says of certificates, accounts and robots: how many are in force, and what somebody
// has to do about them soon; and where operators come in.
import type { Status } from '../registry/operator/status.ts'
import { aboutSpan } from './output.ts'

/** Rows of its table. */
export function describeCertificates({ certificates, nowMs }: Status): readonly string[][] {
  if (certificates === undefined) return []
  const { authorities, isRefused } = certificates
  const faulty = '; its files have changed and are faulty: "entrepot check" says how'
  const own = ['certificate', `${describeExpiry(certificates, nowMs)}${isRefused ? faulty : ''}`]
  if (authorities === undefined) return [own]
  const signing = `the first that signs for clients ${describeExpiry(authorities, nowMs)}`
  return [own, ['authorities', signing]]
}

/** As those of certificates. */
export function describeAccounts({ accounts }: Status): readonly string[][] {
  if (accounts === undefined) return []
  const faulty = '; the file has changed and is faulty: "entrepot check" says how'
  return [['accounts', `${accounts.count} in force${accounts.isRefused ? faulty : ''}`]]
}

/** As those of certificates. */
export function describeRobots({ robots }: Status): readonly string[][] {
  if (robots === undefined) return []
  const { count, expired, expiring } = robots
  const parts = [
    String(count),
    ...(expired.length === 0 ? [] : [`expired: ${listed(expired)}`]),
    ...(expiring.length === 0 ? [] : [`within seven days expire: ${listed(expiring)}`]),
    ...(expired.length + expiring.length === 0 ? [] : ['"entrepot token rotate" begins anew']),
  ]
  return [['robots', parts.join('; ')]]
}

/** As those of certificates. */
export function describeOperators({ adminApi }: Status): readonly string[][] {
  return adminApi === undefined ? [] : [['admin.api', `${adminApi}, for whom access allows admin`]]
}

/** More names than that make no line that anybody reads; `token ls` has them all. */
const NAMES_SHOWN = 5

function listed(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN
  const shown = names.slice(0, NAMES_SHOWN).join(', ')
  return more > 0 ? `${shown} and ${more} more` : shown
}

type Expiry = NonNullable<NonNullable<Status['certificates']>['authorities']>

function describeExpiry({ expiresAtMs, renewAtMs }: Expiry, nowMs: number): string {
  const day = new Date(expiresAtMs).toISOString().slice(0, 10)
  const leftMs = expiresAtMs - nowMs
  if (leftMs <= 0) return `expired on ${day}: renew it`
  return `expires on ${day}, in ${aboutSpan(leftMs)}${nowMs > renewAtMs ? ': renew it' : ''}`
}
