// `check`: every fault of a configuration at once, and with --online whether its upstreams answer.
import { parseArgs } from 'node:util'
import { type SharedLoopback, whyLocalPushOff } from '../access/local-push.ts'
import { LATE, within } from '../async/within.ts'
import { formatFindings } from '../config/findings.ts'
import type { ListedRobots } from '../admin/api.ts'
import type { Config } from '../config/config.ts'
import type { Status } from '../registry/operator/status.ts'
import { BLOCK_BYTES } from '../registry/ports/blob-store.ts'
import { commandClock } from '../server/clock.ts'
import { type IssuerProbe, probeIssuers } from '../server/issuer-keys.ts'
import { type Probe, probeUpstreams } from '../server/probe-upstreams.ts'
import { askAdmin } from './admin-client.ts'
import { type ConfigurationFile, invalidConfiguration, loadConfiguration } from './configuration.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { describeCount, writeJson, writeTable } from './output.ts'
import { readSharedLoopback } from './shared-loopback.ts'
import { VERSION } from './version.ts'

export const help = `entrepot check [--config FILE] [--online] [--json]

Validates the configuration and says all faults at once, with file, line and a suggestion.
Where a server runs by it, what that keeps is judged as well.

  --config FILE  default: as for serve
  --online       also asks every upstream whether it answers, and takes its credentials; and every provider of auth.oidc for
                 its keys
  --json         print JSON

Exit codes: 0 valid (and all that are asked answer), 1 an upstream or a provider does not answer, or refuses what is shown, 78 invalid

Examples
  entrepot check --config ./entrepot.yaml
  entrepot check --online
`

/** A server that hangs is none that can be asked. */
const ASKED_MS = 2_000

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string' },
      online: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const { path, result } = await load(context, values.config)
  if (result.kind === 'invalid') {
    if (!values.json) throw invalidConfiguration(result.findings, path)
    writeJson(context, { valid: false, findings: result.findings })
    return EXIT_CODES.configuration
  }
  const probes = values.online ? await probe(result.config) : undefined
  const issuers = values.online ? await askIssuers(result.config) : undefined
  if (values.json) {
    const asked = { upstreams: probes, ...(issuers?.length && { issuers }) }
    writeJson(context, { valid: true, findings: result.warnings, ...asked })
  } else {
    context.stderr.write(formatFindings(result.warnings, path))
    context.stdout.write(`${path ?? 'no configuration: the built-in one'} is valid\n`)
    const around = {
      sharedLoopback: readSharedLoopback(context.env),
      robots: await countRobots(result.config),
    }
    context.stdout.write(describeLogins(result.config))
    context.stdout.write(`${describeLocals(result.config, around)}\n`)
    if (probes !== undefined) writeProbes(context, probes)
    if (issuers !== undefined && issuers.length > 0) writeIssuers(context, issuers)
  }
  const isWrong =
    probes?.some(each => !each.answers || each.refusesCredentials) === true ||
    issuers?.some(({ answers }) => !answers) === true
  return isWrong ? EXIT_CODES.failed : EXIT_CODES.ok
}

/** With what the server keeps that runs by it, where one does: that is judged as well. */
async function load(context: CliContext, named: string | undefined): Promise<ConfigurationFile> {
  const first = loadConfiguration(context, named)
  if (first.result.kind === 'invalid') return first
  const status = await askServer<Status>(first.result.config, '/status')
  if (status === LATE) return first
  return loadConfiguration(context, named, status.content.keptBlocks * BLOCK_BYTES)
}

/** Of the server that runs by it; none where there is no such server. */
async function countRobots(config: Config): Promise<number> {
  if (config.auth === undefined) return 0
  const listed = await askServer<ListedRobots>(config, '/robots')
  return listed === LATE ? 0 : listed.robots.length
}

/** LATE also where none runs. */
function askServer<Answer>({ admin }: Config, path: string): Promise<Answer | typeof LATE> {
  const server = { kind: 'socket', path: admin.socket } as const
  const asked = askAdmin<Answer>({ server, path }).catch((): typeof LATE => LATE)
  return within(commandClock, ASKED_MS, asked)
}

function describeLogins({ auth, access }: Config): string {
  if (auth === undefined) return ''
  const { file, names, providers, token } = auth
  if (token !== undefined) return `tokens of ${token.realm} say what whoever shows one may do\n`
  const accounts = [
    ...(file === undefined ? [] : [`${describeCount(names.length, 'account')} in ${file.path}`]),
    ...(providers.length === 0 ? [] : [`tokens of ${providers.map(each => each.name).join(', ')}`]),
  ].join(', ')
  if (access.length > 0)
    return `${accounts}: access says what they may do, and who is not logged in\n`
  return `${accounts}: whoever has logged in may do everything, and nobody else anything\n`
}

/**
 * What programs on the machine of the edge may do: that hangs on several keys, and where the server
 * runs. This runs in the same place, or it cannot tell.
 */
function describeLocals(
  { access, auth, http: { localPush } }: Config,
  around: { readonly sharedLoopback: SharedLoopback | undefined; readonly robots: number },
): string {
  const off = whyLocalPushOff(localPush, around.sharedLoopback)
  if (auth?.token !== undefined && access.length === 0)
    return 'programs on this machine show tokens like others: there is no access rule about local'
  const logins = auth === undefined ? 0 : auth.names.length + around.robots
  if (logins > 0 && access.length === 0)
    return 'programs on this machine log in like others: there is an account or a robot, and no access rule about local'
  if (off === undefined && auth !== undefined && access.length === 0)
    return 'programs on this machine may do everything until there is an account or a robot'
  if (off === undefined && access.length > 0)
    return 'programs on this machine may do what access allows them'
  if (off === undefined)
    return 'programs on this machine may push and delete, since there are no access rules'
  if (off === 'pod' || off === 'user namespace')
    return `nobody is a program of this machine here, where what others forward looks like one (${off}), unless http.localpush is true`
  return access.length === 0
    ? 'nobody may push or delete: there are no access rules, and http.localpush is off'
    : 'nobody is a program of this machine, since http.localpush is off: access allows the others what it says'
}

function probe(config: Config): Promise<readonly Probe[]> {
  return probeUpstreams(config, {
    clock: commandClock,
    note: () => {},
    random: Math.random,
    version: VERSION,
  })
}

function askIssuers(config: Config): Promise<readonly IssuerProbe[]> {
  return probeIssuers(config, { clock: commandClock, version: VERSION })
}

function writeIssuers(context: CliContext, issuers: readonly IssuerProbe[]): void {
  writeTable(context, [
    ['PROVIDER', 'ANSWERS', 'DETAIL'],
    ...issuers.map(({ provider, answers, detail }) => [provider, answers ? 'yes' : 'no', detail]),
  ])
}

function writeProbes(context: CliContext, probes: readonly Probe[]): void {
  writeTable(context, [
    ['UPSTREAM', 'ANSWERS', 'DETAIL'],
    ...probes.map(each => [each.registry, answerOf(each), each.detail]),
  ])
}

function answerOf({ answers, refusesCredentials }: Probe): string {
  if (refusesCredentials) return 'refuses'
  return answers ? 'yes' : 'no'
}
