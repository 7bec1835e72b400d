// `user`: the accounts of a file as `htpasswd -B` writes it. It works on the file, whether a server
// runs or not; one that runs by it is waited for until it goes by the change.
import { hashSync } from 'bcryptjs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { addAccount, removeAccount, replacePassword } from '../access/htpasswd/edit.ts'
import { COST_DEFAULT, COST_MAX, COST_MIN, parseHtpasswd } from '../access/htpasswd/parse.ts'
import { parseLoginName, whyNoNewAccount } from '../access/names.ts'
import { FileTakenError, replaceFile } from '../accounts/replace-file.ts'
import type { EndedLoginsAnswer, LookedAtAccounts } from '../admin/api.ts'
import { readLocalFile, whyNoPlace, whyUnreadable } from '../config/local-file.ts'
import { commandClock } from '../server/clock.ts'
import { type AdminServer, askAdmin } from './admin-client.ts'
import { loadConfiguration } from './configuration.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { describeCount, writeJson, writeTable } from './output.ts'
import { readPassword } from './read-password.ts'

export const help = `entrepot user add NAME [--cost N]
entrepot user passwd NAME [--cost N]
entrepot user rm NAME
entrepot user logout NAME
entrepot user ls [--json]

Changes or lists the accounts in a file as "htpasswd -B" writes it, whether a server runs or not; one that runs by it goes by
the change, on all of its threads and connections, before the command returns. The password is typed, twice, or is the
first line of standard input; it is never an argument, which everybody on the machine could read. The file is replaced
at once and whole, by one after the other; its mode, owner, comments and other lines stay. "add" makes it where it is not there, for its owner
alone: by root, for the owner of its directory.

  --file FILE    default: auth.htpasswd.path of the configuration
  --config FILE  default: as for serve
  --cost N       of bcrypt, from ${COST_MIN} to ${COST_MAX}; default ${COST_DEFAULT}. Each one more makes a login and a guess take twice as long
  --json         print JSON

A password has 1 to 72 bytes of UTF-8: bcrypt does not look at more.

"logout" leaves the file alone: it ends what clients were given for a password, on every thread and connection of the running
server, so that they have to show it again. What "passwd" and "rm" change ends it, too.

Exit codes: 0 done, 1 not done, or not in force at the running server, with the reason, 2 wrong arguments

Examples
  entrepot user add alice
  pwgen 24 1 | entrepot user passwd ci --file /etc/entrepot/htpasswd
`

const USAGE = 'usage: entrepot user add|passwd|rm|logout NAME, or entrepot user ls'

interface Asked {
  readonly file: string
  readonly name: string
  readonly cost: number
}

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      file: { type: 'string' },
      config: { type: 'string' },
      cost: { type: 'string', default: String(COST_DEFAULT) },
      json: { type: 'boolean', default: false },
    },
  })
  const [what, name, ...more] = positionals
  if (more.length > 0) throw new CliError(EXIT_CODES.usage, USAGE)
  const { file, socket } = find(values, context)
  if (what === 'ls' && name === undefined) return list(file, values.json, context)
  if (name === undefined) throw new CliError(EXIT_CODES.usage, USAGE)
  if (what === 'logout') return logOut(name, { socket, isJson: values.json }, context)
  const asked = { file, name, cost: readCost(values.cost) }
  switch (what) {
    case 'add':
      await add(asked, context)
      break
    case 'passwd':
      await changePassword(asked, context)
      break
    case 'rm':
      await remove(asked)
      break
    default:
      throw new CliError(EXIT_CODES.usage, USAGE)
  }
  const looked = await untilLookedAt(file, { name, socket })
  // Whoever has put it back meanwhile has made another one.
  if (what === 'rm' && looked?.isThere === true) await endLogins(name, socket)
  const done = { file, name, done: DONE[what] }
  if (values.json) writeJson(context, done)
  else context.stdout.write(`${name}: ${DONE[what]}\n`)
  warnOfFaults(file, context)
  if (looked?.isInForce !== false) return EXIT_CODES.ok
  context.stderr.write('the running server goes by the accounts of before: its log says why\n')
  return EXIT_CODES.failed
}

const DONE = { add: 'added', passwd: 'has a new password', rm: 'removed' } as const

interface Found {
  readonly file: string
  /** Of the server that may run by it. */
  readonly socket: string
}

/** By the configuration, also where what is faulty in it is the file. @throws CliError */
function find(
  {
    file,
    config: named,
  }: { readonly file?: string | undefined; readonly config?: string | undefined },
  context: CliContext,
): Found {
  const { path, result } = loadConfiguration(context, named)
  const [socket, configured] =
    result.kind === 'ok'
      ? [result.config.admin.socket, result.config.auth?.file?.path]
      : [result.socket.path, result.accountsPath]
  const found = file ?? configured
  if (found !== undefined) return { file: found, socket }
  const where = path ?? 'the built-in configuration'
  const message = `${where} names no file of accounts (auth.htpasswd.path): say which with --file`
  throw new CliError(EXIT_CODES.usage, message)
}

/**
 * Undefined: no server runs by this file.
 * @throws CliError where the server could not do it
 */
async function untilLookedAt(
  file: string,
  { name, socket }: { readonly name: string; readonly socket: string },
): Promise<LookedAtAccounts | undefined> {
  const server = at(socket)
  const wanted = { server, method: 'POST', path: '/accounts/look', query: { name } } as const
  try {
    const looked = await askAdmin<LookedAtAccounts | { readonly path?: never }>(wanted)
    if (looked.path === undefined || resolve(looked.path) !== resolve(file)) return undefined
    return looked
  } catch (error) {
    if (!(error instanceof CliError)) throw error
    if (error.exitCode === EXIT_CODES.unreachable) return undefined
    const message = `${file} is changed, and not in force everywhere: ${error.message}`
    throw new CliError(error.exitCode, message)
  }
}

type Ended = EndedLoginsAnswer['outcome']

async function logOut(
  name: string,
  { socket, isJson }: { readonly socket: string; readonly isJson: boolean },
  context: CliContext,
): Promise<ExitCode> {
  const outcome = await endLogins(name, socket)
  if (outcome !== 'ended') throw new CliError(EXIT_CODES.failed, whyNotLoggedOut(name, outcome))
  if (isJson) writeJson(context, { name, done: LOGGED_OUT })
  else context.stdout.write(`${name}: ${LOGGED_OUT}\n`)
  return EXIT_CODES.ok
}

/** @throws CliError where no server runs, which is whose tokens they are */
async function endLogins(name: string, socket: string): Promise<Ended> {
  const server = at(socket)
  const wanted = { server, method: 'POST', path: '/accounts/logout', query: { name } } as const
  return (await askAdmin<EndedLoginsAnswer>(wanted)).outcome
}

function whyNotLoggedOut(name: string, outcome: Exclude<Ended, 'ended'>): string {
  if (outcome === 'no accounts') return 'the running server has no accounts (auth.htpasswd)'
  if (parseLoginName(name).kind === 'robot')
    return `${name} is a robot: "entrepot token revoke" ends one`
  return `the running server has no account ${name}, so nobody is logged in by that name: "entrepot user ls" lists those that there are`
}

const LOGGED_OUT = 'logged out everywhere'

async function add(asked: Asked, context: CliContext): Promise<void> {
  const { file, name } = asked
  const wrong = whyNoNewAccount(name)
  if (wrong !== undefined) throw new CliError(EXIT_CODES.usage, `${name}: ${wrong}`)
  const hash = hashOf(await readPassword(context, name), asked)
  if (await change(file, text => addAccount(text, name, hash))) return
  const message = `${name} is in ${file} already: "entrepot user passwd" changes the password`
  throw new CliError(EXIT_CODES.failed, message)
}

async function changePassword(asked: Asked, context: CliContext): Promise<void> {
  const { file, name } = asked
  const hash = hashOf(await readPassword(context, name), asked)
  if (!(await change(file, text => replacePassword(text, name, hash)))) throw notThere(asked)
}

async function remove(asked: Asked): Promise<void> {
  if (!(await change(asked.file, text => removeAccount(text, asked.name)))) throw notThere(asked)
}

function notThere({ file, name }: Asked): CliError {
  return new CliError(EXIT_CODES.failed, `there is no ${name} in ${file}`)
}

/** By the letter of `htpasswd`: old programs know no other, and it is the same bcrypt. */
function hashOf(password: string, { cost }: Asked): string {
  return hashSync(password, cost).replace(/^\$2b\$/, '$2y$')
}

/** @throws CliError usage */
function readCost(text: string): number {
  const cost = Number(text)
  if (Number.isInteger(cost) && cost >= COST_MIN && cost <= COST_MAX) return cost
  throw new CliError(EXIT_CODES.usage, `--cost is a number from ${COST_MIN} to ${COST_MAX}`)
}

/** Nobody holds the lock for longer than a disk takes: what is there then was left behind. */
const LOCK_WAIT_MS = 2_000
const LOCK_RETRY_MS = 20

/** @throws CliError where the file cannot be changed */
async function change(file: string, edit: (text: string) => string | undefined): Promise<boolean> {
  const beganMs = commandClock.monotonicMs()
  for (;;)
    try {
      return replaceFile(file, edit)
    } catch (error) {
      if (!(error instanceof FileTakenError)) {
        throw new CliError(EXIT_CODES.failed, `${file} cannot be changed: ${whyNot(error, file)}`)
      }
      if (commandClock.monotonicMs() - beganMs >= LOCK_WAIT_MS) {
        const message = `somebody else changes ${file} now; if nobody does, remove ${error.lock}`
        throw new CliError(EXIT_CODES.failed, message)
      }
      await commandClock.sleep(LOCK_RETRY_MS)
    }
}

/** A file that is not there is made: what is missing is where it would be. */
function whyNot(error: unknown, file: string): string {
  return whyNoPlace(file) ?? whyUnreadable(error)
}

function list(file: string, isJson: boolean, context: CliContext): ExitCode {
  const { entries } = parseHtpasswd(read(file))
  const accounts = entries.map(({ name, cost }) => ({ name, cost }))
  if (isJson) writeJson(context, { accounts })
  else
    writeTable(context, [
      ['NAME', 'COST'],
      ...accounts.map(({ name, cost }) => [name, String(cost)]),
    ])
  warnOfFaults(file, context)
  return EXIT_CODES.ok
}

/** Of other lines: with any, no server takes the file. */
function warnOfFaults(file: string, { stderr }: CliContext): void {
  const { faults } = parseHtpasswd(read(file))
  if (faults.length === 0) return
  const lines = faults.map(({ line, message }) => `${file}:${line}: ${message}\n`)
  stderr.write(`${lines.join('')}${describeCount(faults.length, 'fault')}: no server takes it\n`)
}

/** @throws CliError */
function read(file: string): string {
  const found = readLocalFile(file)
  if (found.kind === 'file') return found.text
  throw new CliError(EXIT_CODES.failed, `cannot read ${file}: ${found.reason}`)
}

function at(path: string): AdminServer {
  return { kind: 'socket', path }
}
