// `user`: the accounts of a file as `htpasswd -B` writes it. It works on the file alone, whether a
// server runs or not.
import { hashSync } from 'bcryptjs'
import { parseArgs } from 'node:util'
import { addAccount, removeAccount, replacePassword } from '../access/htpasswd/edit.ts'
import { COST_MAX, COST_MIN, parseHtpasswd, whyNoName } from '../access/htpasswd/parse.ts'
import { FileTakenError, replaceFile } from '../accounts/replace-file.ts'
import { readLocalFile, whyUnreadable } from '../config/local-file.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { describeCount, writeJson, writeTable } from './output.ts'
import { readPassword } from './read-password.ts'

/** Some tens of milliseconds for each login, and for each guess of whoever has got the file. */
const COST_DEFAULT = 10

export const help = `entrepot user add NAME --file FILE [--cost N]
entrepot user passwd NAME --file FILE [--cost N]
entrepot user rm NAME --file FILE
entrepot user ls --file FILE [--json]

Changes or lists the accounts in a file as "htpasswd -B" writes it, whether a server runs or not. The password is typed,
twice, or is the first line of standard input; it is never an argument, which everybody on the machine could read. The
file is replaced at once and whole; its mode, owner, comments and other lines stay. "add" makes it where it is not
there, for its owner alone: by root, for the owner of its directory.

  --file FILE  the file
  --cost N     of bcrypt, from ${COST_MIN} to ${COST_MAX}; default ${COST_DEFAULT}. Each one more makes a login and a guess take twice as long
  --json       print JSON

A password has 1 to 72 bytes of UTF-8: bcrypt does not look at more.

Exit codes: 0 done, 1 not done, with the reason, 2 wrong arguments

Examples
  entrepot user add alice --file /etc/entrepot/htpasswd
  pwgen 24 1 | entrepot user passwd ci --file /etc/entrepot/htpasswd
`

const USAGE = 'usage: entrepot user add|passwd|rm NAME --file FILE, or entrepot user ls --file FILE'

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
      cost: { type: 'string', default: String(COST_DEFAULT) },
      json: { type: 'boolean', default: false },
    },
  })
  const [what, name, ...more] = positionals
  const { file } = values
  if (file === undefined || more.length > 0) throw new CliError(EXIT_CODES.usage, USAGE)
  if (what === 'ls' && name === undefined) return list(file, values.json, context)
  if (name === undefined) throw new CliError(EXIT_CODES.usage, USAGE)
  const asked = { file, name, cost: readCost(values.cost) }
  switch (what) {
    case 'add':
      await add(asked, context)
      break
    case 'passwd':
      await changePassword(asked, context)
      break
    case 'rm':
      remove(asked)
      break
    default:
      throw new CliError(EXIT_CODES.usage, USAGE)
  }
  const done = { file, name, done: DONE[what] }
  if (values.json) writeJson(context, done)
  else context.stdout.write(`${name}: ${DONE[what]}\n`)
  warnOfFaults(file, context)
  return EXIT_CODES.ok
}

const DONE = { add: 'added', passwd: 'has a new password', rm: 'removed' } as const

async function add(asked: Asked, context: CliContext): Promise<void> {
  const { file, name } = asked
  const wrong = whyNoName(name)
  if (wrong !== undefined) throw new CliError(EXIT_CODES.usage, `${name}: ${wrong}`)
  const hash = hashOf(await readPassword(context, name), asked)
  if (change(file, text => addAccount(text, name, hash))) return
  const message = `${name} is in ${file} already: "entrepot user passwd" changes the password`
  throw new CliError(EXIT_CODES.failed, message)
}

async function changePassword(asked: Asked, context: CliContext): Promise<void> {
  const { file, name } = asked
  const hash = hashOf(await readPassword(context, name), asked)
  if (!change(file, text => replacePassword(text, name, hash))) throw notThere(asked)
}

function remove(asked: Asked): void {
  if (!change(asked.file, text => removeAccount(text, asked.name))) throw notThere(asked)
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

/** @throws CliError where the file cannot be changed */
function change(file: string, edit: (text: string) => string | undefined): boolean {
  try {
    return replaceFile(file, edit)
  } catch (error) {
    if (!(error instanceof FileTakenError)) {
      throw new CliError(EXIT_CODES.failed, `${file} cannot be changed: ${whyUnreadable(error)}`)
    }
    const message = `somebody else changes ${file} now; if nobody does, remove ${error.lock}`
    throw new CliError(EXIT_CODES.failed, message)
  }
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
