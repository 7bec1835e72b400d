// Entrepot with accounts, as `entrepot user add` makes them, and what their clients show.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RunningServer } from '../server-process.ts'
import { CHECKOUT, ENTREPOT, entrepot } from './entrepot.ts'
import type { ServerKind, ServerOptions } from './kind.ts'

export const BEARER = `${ENTREPOT}, Bearer token`
export const BASIC = `${ENTREPOT}, Basic`
export const MANY = `${ENTREPOT}, 1,000 users in 10 groups`

const USERS = 1_000
const GROUPS = 10
/** Tokens are what is measured of many, and not what it costs to get them. */
const CHEAP = ['--cost', '4']
/** Fewer than may wait for a computation. */
const AT_ONCE = 16
/** Of all accounts of a run. */
export const PASSWORD = randomBytes(18).toString('base64url')

/** Its clients: what their requests show, in turn. */
export interface KindWithLogins extends ServerKind {
  logins(server: RunningServer): Promise<readonly string[]>
}

/** The first is what the others are held against. */
export const HOT_LOGINS: readonly KindWithLogins[] = [
  { ...entrepot, logins: async () => [''] },
  {
    name: BEARER,
    start: options => startWithAccounts(options, ['alice']),
    logins: async server => [await bearer(server, 'alice')],
  },
  {
    name: BASIC,
    start: options => startWithAccounts(options, ['alice']),
    logins: async () => [basic('alice')],
  },
  { name: MANY, start: startMany, logins: bearersOfMany },
]

/** Those accounts, at the default cost: each login of another one is a computation of its own. */
export function startWithAccounts(
  options: ServerOptions,
  names: readonly string[],
  cost: readonly string[] = [],
): Promise<RunningServer> {
  const path = join(options.directory, 'htpasswd')
  mkdirSync(options.directory, { recursive: true })
  writeAccounts(path, names, cost)
  return entrepot.start({ ...options, auth: { htpasswd: { path }, ...options.auth } })
}

export function basic(name: string, password = PASSWORD): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}

/** @throws Error where the server gives none */
export async function bearer({ url }: RunningServer, name: string): Promise<string> {
  const answer = await fetch(`${url}${TOKEN_PATH}`, { headers: { authorization: basic(name) } })
  if (!answer.ok) throw new Error(`no token for ${name}: ${answer.status}`)
  const { token } = (await answer.json()) as { readonly token: string }
  return `Bearer ${token}`
}

export const TOKEN_PATH = '/v2/token?service=entrepot'

/** Each group has rules of its own, and all may pull what is measured. */
function startMany(options: ServerOptions): Promise<RunningServer> {
  const numbers = Array.from({ length: GROUPS }, (_, at) => at)
  const group = (at: number) => namesOfMany.filter((_, user) => user % GROUPS === at)
  const rule = (at: number, match: string, ...allow: readonly string[]) => {
    return { who: `group:g${at}`, match, allow }
  }
  const groups = Object.fromEntries(numbers.map(at => [`g${at}`, group(at)]))
  const access = [
    ...numbers.map(at => rule(at, `docker.io/team${at}/**`, 'pull', 'push')),
    ...numbers.map(at => rule(at, 'docker.io/bench/**', 'pull')),
  ]
  return startWithAccounts({ ...options, auth: { groups }, access }, namesOfMany, CHEAP)
}

const namesOfMany = Array.from({ length: USERS }, (_, at) => `user-${at}`)

async function bearersOfMany(server: RunningServer): Promise<readonly string[]> {
  const all: string[] = []
  for (let at = 0; at < USERS; at += AT_ONCE) {
    const some = namesOfMany.slice(at, at + AT_ONCE)
    all.push(...(await Promise.all(some.map(name => bearer(server, name)))))
  }
  return all
}

/** The first by the command, the others with its line: the hash is computed once. */
function writeAccounts(path: string, names: readonly string[], cost: readonly string[]): void {
  const [first = ''] = names
  const args = [join(CHECKOUT, 'dist', 'main.js'), 'user', 'add', first, '--file', path, ...cost]
  const { status, stderr } = spawnSync(process.execPath, args, {
    input: `${PASSWORD}\n`,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`no account was made: ${stderr.trim()}`)
  const line = readFileSync(path, 'utf8').trim().slice(first.length)
  writeFileSync(path, names.map(name => `${name}${line}\n`).join(''))
}
