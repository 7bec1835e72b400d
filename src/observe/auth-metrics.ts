// The rows of the metrics table about accounts and logins.
import type { MetricRow } from './metric-row.ts'

const TRIED = ['right', 'wrong', 'busy', 'failed', 'limited'] as const

/** What a robot is, as far as its secret lasts. */
export const ROBOT_STATES = ['valid', 'expiring', 'expired'] as const

export const AUTH_METRICS = {
  authHtpasswdFaulty: {
    name: 'entrepot_auth_htpasswd_faulty',
    type: 'gauge',
    help: '1 while the file of auth.htpasswd has faults or cannot be read, and the accounts of before stay in force.',
    labels: {},
  },
  authHtpasswdAccounts: {
    name: 'entrepot_auth_htpasswd_accounts',
    type: 'gauge',
    help: 'Accounts of auth.htpasswd in force.',
    labels: {},
  },
  authRobots: {
    name: 'entrepot_auth_robots',
    type: 'gauge',
    help: 'Robots, by how long their secret is good: expiring within seven days, expired, or longer than that.',
    labels: { state: ROBOT_STATES },
  },
  authPasswords: {
    name: 'entrepot_auth_passwords_total',
    type: 'counter',
    help: 'Passwords tried, but for those remembered from minutes before. busy: too many at once, told to come back; failed: it could not be computed; limited: not tried, after too many wrong ones from that address or for that name.',
    labels: { outcome: TRIED },
  },
  authIdentities: {
    name: 'entrepot_auth_identities_total',
    type: 'counter',
    help: 'Tokens of identity providers (auth.oidc) that were looked at. away: nobody could say whose it is, since the issuer did not give its keys.',
    labels: { outcome: ['right', 'refused', 'away'] },
  },
  authIssuerKeys: {
    name: 'entrepot_auth_issuer_keys_total',
    type: 'counter',
    help: 'Times that keys of an identity provider were asked for.',
    labels: { outcome: ['taken', 'failed'] },
  },
} as const satisfies Readonly<Record<string, MetricRow>>
