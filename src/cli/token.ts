// `token`: robots of the running server, which makes and keeps their secrets: a secret is shown
// once, by the command that made it.
import { parseArgs } from 'node:util'
import {
  type ListedRobot,
  type ListedRobots,
  ROBOT_TIME_MAX_MS,
  type RobotAnswer,
} from '../admin/api.ts'
import { parseDuration } from '../config/formats/units.ts'
import { type AdminServer, askAdmin } from './admin-client.ts'
import { requireConfiguration } from './configuration.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { writeJson, writeTable } from './output.ts'
import { findOtherEdge, OTHER_EDGE_HELP, OTHER_EDGE_OPTIONS } from './other-edge.ts'

export const help = `entrepot token issue NAME [--expires 90d]
entrepot token rotate NAME [--overlap 24h]
entrepot token revoke NAME
entrepot token ls

Robots: names that programs log in by, with a secret that the running server makes, and shows once. Rules of "access" call
one robot:NAME. A client shows the secret as the password, with the robot's name or any other as the user, or as a bearer token.
What "rotate" and "revoke" end is over on every thread and connection before the command returns.

  --expires TIME how long the secret is good, such as 90d or forever; a rotation begins it anew. Default 365d
  --overlap TIME how long the secret of before is good beside the new one. Default 24h; 0: not at all
  --config FILE  default: as for serve
  --admin URL    ${OTHER_EDGE_HELP}
  --json         print JSON

A name has 1 to 64 characters, a-z, 0-9, dots, dashes and underscores, and begins and ends with a letter or digit.

Exit codes: 0 done, 1 not done, with the reason, 2 wrong arguments, 69 the server is not running

Examples
  entrepot token issue ci --expires 90d
  entrepot token rotate ci --overlap 1h
`

const USAGE = 'usage: entrepot token issue|rotate|revoke NAME, or entrepot token ls'
const CHANGES = ['issue', 'rotate', 'revoke'] as const

/** No Date is behind it (ECMA-262). */
const DATES_END_MS = 8.64e15

const WHY = {
  'there already': 'is there already: "entrepot token rotate" gives it another secret',
  'not there': 'is no robot here: "entrepot token ls" lists them',
  'too many': 'cannot be made: there are as many robots as there may be; revoke some',
  'no name':
    'is no name for a robot: a-z, 0-9, dots, dashes and underscores, at most 64 of them, a letter or digit first and last',
  'no accounts': 'cannot be a robot: the running server has no accounts (auth.htpasswd)',
} as const

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      expires: { type: 'string', default: '365d' },
      overlap: { type: 'string', default: '24h' },
      config: { type: 'string' },
      ...OTHER_EDGE_OPTIONS,
      json: { type: 'boolean', default: false },
    },
  })
  const [what, name, ...more] = positionals
  const change = CHANGES.find(each => each === what)
  const isList = what === 'ls' && name === undefined
  if (more.length > 0 || (!isList && (change === undefined || name === undefined)))
    throw new CliError(EXIT_CODES.usage, USAGE)
  const server = findOtherEdge(values, context) ?? {
    kind: 'socket',
    path: requireConfiguration(context, values.config).admin.socket,
  }
  if (change === undefined || name === undefined) return list(server, values.json, context)
  const life = lifeOf(values.expires)
  const overlap = millisecondsOf('--overlap', values.overlap)
  const query = { name, ...{ issue: { life }, rotate: { overlap }, revoke: {} }[change] }
  const path = `/robots/${change}`
  const answer = await askAdmin<RobotAnswer>({ server, method: 'POST', path, query })
  if (answer.kind !== 'issued' && answer.kind !== 'revoked')
    throw new CliError(EXIT_CODES.failed, `${name} ${WHY[answer.kind]}`)
  if (values.json) writeJson(context, answer)
  else if (answer.kind === 'issued') context.stdout.write(`${answer.secret}\n`)
  else context.stdout.write(`${name}: revoked\n`)
  return EXIT_CODES.ok
}

/** @throws CliError usage */
function millisecondsOf(option: string, text: string): string {
  const read = parseDuration(text)
  if (read.kind !== 'ok') throw new CliError(EXIT_CODES.usage, `${option}: ${read.message}`)
  if (read.value > ROBOT_TIME_MAX_MS && read.value !== Infinity)
    throw new CliError(EXIT_CODES.usage, `${option}: longer than 100 years; write forever`)
  return String(read.value)
}

/** @throws CliError usage */
function lifeOf(text: string): string {
  const life = millisecondsOf('--expires', text)
  if (life !== '0') return life
  throw new CliError(EXIT_CODES.usage, '--expires: 0 makes a secret that nobody can log in by')
}

async function list(server: AdminServer, isJson: boolean, context: CliContext): Promise<ExitCode> {
  const { robots } = await askAdmin<ListedRobots>({ server, path: '/robots' })
  if (isJson) writeJson(context, { robots })
  else
    writeTable(context, [
      ['NAME', 'ISSUED (UTC)', 'EXPIRES (UTC)', 'STATE'],
      ...robots.map(robot => [
        robot.name,
        dayOf(robot.issuedAtMs),
        dayOf(robot.expiresAtMs),
        describeState(robot),
      ]),
    ])
  return EXIT_CODES.ok
}

function describeState({ state, before }: ListedRobot): string {
  const said = { valid: 'good', expiring: 'expires soon', expired: 'expired' }[state]
  if (before === undefined) return said
  const until = before.untilMs === undefined ? '' : ` until ${dayOf(before.untilMs)}`
  return `${said}; so is the secret of before${until}`
}

function dayOf(ms = Infinity): string {
  // What was kept before there was a bound.
  if (Math.abs(ms) > DATES_END_MS) return 'never'
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}
