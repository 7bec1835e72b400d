// `access`: which rule of `access` decides, and where it stands. Asks nobody: it goes by the file,
// as a server that is started with it would.
import { parseArgs } from 'node:util'
import type { Action, MovedTags } from '../access/access.ts'
import { formatName, parseLoginName } from '../access/names.ts'
import { judgeOperator } from '../access/operator-access.ts'
import { type AccessRule, RIGHTS } from '../access/rule.ts'
import { type Asker, Rulebook } from '../access/rulebook.ts'
import type { AuthConfig, Config } from '../config/config.ts'
import type { Place } from '../config/findings.ts'
import { closest } from '../config/suggest.ts'
import { RegistryError } from '../oci/errors.ts'
import { parseNamePath } from '../oci/endpoint.ts'
import { LOCALHOST, parseTag, type Repository, repositoryKey, type Tag } from '../oci/reference.ts'
import { createPolicies } from '../registry/routing/repository-policies.ts'
import { createRoute } from '../registry/routing/route.ts'
import { routeOptions } from '../server/route-options.ts'
import { requireConfiguration } from './configuration.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { CALLERS, askerOf, groupsToName, inGroups } from './named-caller.ts'
import { writeJson } from './output.ts'
import { readSharedLoopback } from './shared-loopback.ts'

const WHO = CALLERS.map(({ example, meaning }) => {
  return `                ${example.padEnd(22)}  ${meaning.replaceAll('`', '')}`
}).join('\n')

export const help = `entrepot access test WHO ACTION REPOSITORY [--tag TAG] [--group GROUP]… [--config FILE] [--json]
entrepot access test WHO admin [--config FILE] [--json]

Says whether the access rules of the configuration let somebody do something, which of them decides, and on which line it
stands. No server is asked: after a change of the file, this is what the next reload brings.

  WHO         one such as these:
${WHO}
  ACTION      pull, push, delete or list; or admin, the operator's API over the network (admin.api), about no repository
  REPOSITORY  with its registry, as clients write it: docker.io/alpine is docker.io/library/alpine
  --group GROUP
              in which the provider says that oidc:PROVIDER:NAME is, as its token has it; may be given several times
  --tag TAG   that is pushed or deleted; without, a push of content alone, or a delete by digest

  --config FILE  default: as for serve
  --json         print JSON

Exit codes: 0 allowed, 1 denied, 2 wrong arguments, 78 the configuration is invalid

Examples
  entrepot access test 10.0.0.7 pull docker.io/library/alpine
  entrepot access test local push localhost/team/app --tag v1
  entrepot access test robot:fleet admin
`

const USAGE =
  'usage: entrepot access test WHO ACTION REPOSITORY [--tag TAG], or entrepot access test WHO admin'

interface Asked {
  /** As it was written. */
  readonly name: string
  readonly asker: Asker
  readonly action: Action
  readonly repository: Repository
  readonly moves: MovedTags
}

interface Told {
  readonly allowed: boolean
  /** Undefined where none is about it, or there are none. */
  readonly rule: number | undefined
  readonly place: Place | undefined
  /** For people. */
  readonly because: readonly string[]
}

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      tag: { type: 'string' },
      group: { type: 'string', multiple: true, default: [] },
      config: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  })
  const [what, who, action, name, ...more] = positionals
  const isAdmin = action === 'admin' && name === undefined && values.tag === undefined
  if (what !== 'test' || who === undefined || action === undefined || more.length > 0)
    throw new CliError(EXIT_CODES.usage, USAGE)
  if (!isAdmin && name === undefined) throw new CliError(EXIT_CODES.usage, USAGE)
  const config = requireConfiguration(context, values.config)
  const shared = readSharedLoopback(context.env)
  const asker = inGroups(askerOf(who, config, shared), values.group)
  const told =
    name === undefined
      ? tellAdmin(config, asker)
      : tell(config, readAsked(config, { asker, action, name, tag: values.tag }))
  if (values.json) writeJson(context, told)
  else
    context.stdout.write(
      `${told.allowed ? 'allowed' : 'denied'}: ${told.because.join('\n         ')}\n`,
    )
  return told.allowed ? EXIT_CODES.ok : EXIT_CODES.failed
}

interface Words {
  readonly asker: Asker
  readonly action: string
  readonly name: string
  readonly tag: string | undefined
}

/** @throws CliError usage */
function readAsked(config: Config, words: Words): Asked {
  const { asker } = words
  const action = RIGHTS.find(each => each === words.action)
  if (action === undefined) {
    const near = closest(words.action, RIGHTS)
    const hint = near === undefined ? '' : ` (did you mean ${near}?)`
    throw new CliError(EXIT_CODES.usage, `an action is one of ${RIGHTS.join(', ')}${hint}`)
  }
  const repository = readRepository(words.name, config)
  const tags = words.tag === undefined ? undefined : [readTag(words.tag)]
  return {
    name: words.name,
    asker,
    action,
    repository,
    moves: action === 'delete' ? (tags ?? 'any') : tags,
  }
}

/**
 * Where the data port takes this name, which is written with its registry here.
 * @throws CliError usage
 */
function readRepository(name: string, config: Config): Repository {
  if (!name.includes('/')) {
    const message = `${name}: a repository is written with its registry here, such as ${LOCALHOST}/${name}`
    throw new CliError(EXIT_CODES.usage, message)
  }
  const endpoint = { kind: 'tags', path: orUsage(name, () => parseNamePath(name)) } as const
  const target = { endpoint, leading: undefined, query: new URLSearchParams() }
  const route = createRoute(routeOptions(config))
  const { repository } = orUsage(name, () => route(target, undefined))
  // Its first component is no registry, and it went to the one that is the default.
  if (repository.name === name) {
    const message = `${name}: a repository is written with its registry here, such as ${repositoryKey(repository)}`
    throw new CliError(EXIT_CODES.usage, message)
  }
  return repository
}

function readTag(text: string): Tag {
  return orUsage(text, () => parseTag(text))
}

/** @throws CliError usage */
function orUsage<Value>(text: string, parse: () => Value): Value {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error
    throw new CliError(EXIT_CODES.usage, `${text}: ${error.message}`)
  }
}

function tell(config: Config, asked: Asked): Told {
  const { access, accessPlaces } = config
  if (access.length === 0) return tellWithout(config, asked)
  const { asker, action, repository, moves } = asked
  const book = new Rulebook(access, config.auth?.groups)
  const question = { key: repositoryKey(repository), action, moves }
  const verdictOf = (who: Asker) => book.partyOf(who)?.judge(question)
  const { isAllowed = false, rule } = verdictOf(asker) ?? {}
  const deciding = rule === undefined ? undefined : access[rule]
  const place = rule === undefined ? undefined : accessPlaces[rule]
  const because =
    deciding === undefined
      ? 'no rule of access is about this, and after the last one nothing is allowed'
      : `access[${rule}]${describePlace(place)} decides: ${describeRule(deciding)}`
  const groups = groupsToName(asker, access).flatMap(group => {
    const other = verdictOf(inGroups(asker, [group]))
    if (other?.rule === undefined || other.isAllowed === isAllowed) return []
    const where = `access[${other.rule}]${describePlace(accessPlaces[other.rule])}`
    const does = other.isAllowed ? 'allows' : 'denies'
    return [`its groups are not known here: with --group ${group} ${where} ${does} it`]
  })
  return {
    allowed: isAllowed,
    rule,
    place,
    because: [because, ...groups, ...policyOf(config, asked)],
  }
}

/** Of the operator's API over the network. */
function tellAdmin({ access, accessPlaces, auth, admin }: Config, asker: Asker): Told {
  const unset = admin.api === undefined ? ['admin.api is not set: nobody reaches it'] : []
  const told = (allowed: boolean, because: string, rule?: number) => {
    const place = rule === undefined ? undefined : accessPlaces[rule]
    return { allowed, rule, place, because: [because, ...unset] }
  }
  const name = asker.account && parseLoginName(asker.account.name)
  if (name === undefined && asker.certificate === undefined)
    return told(false, 'it is for accounts, robots and certificates alone, from wherever')
  if (auth?.token !== undefined && name?.kind === 'account')
    return told(false, 'a token of auth.token’s server grants nothing of it')
  const book = access.length === 0 ? undefined : new Rulebook(access, auth?.groups)
  const { isAllowed, rule, by } = judgeOperator(asker, book, access)
  const deciding = rule === undefined ? undefined : access[rule]
  if (deciding === undefined) return told(false, 'no rule with match "**" is about this')
  const where = `access[${rule}]${describePlace(accessPlaces[rule ?? 0])} decides: ${describeRule(deciding)}`
  const isNobody = !isAllowed && by !== undefined && deciding.allow.includes('admin')
  return told(isAllowed, isNobody ? `${where}; it names nobody` : where, rule)
}

function tellWithout(config: Config, asked: Asked): Told {
  if (config.auth !== undefined) return tellByLogin(config, config.auth, asked)
  const isRead = asked.action === 'pull' || asked.action === 'list'
  const allowed = isRead || asked.asker.isLocal() === true
  const because = isRead
    ? 'there are no access rules, so everybody may'
    : 'there are no access rules, so only programs on the machine of the edge may, unless http.localpush forbids it'
  const policy = policyOf(config, asked)
  return { allowed, rule: undefined, place: undefined, because: [because, ...policy] }
}

/** Where there are accounts and no rules. */
function tellByLogin(config: Config, auth: AuthConfig, asked: Asked): Told {
  const { asker } = asked
  if (auth.token !== undefined) return tellByToken(config, asked)
  const isUnowned = auth.names.length === 0
  const allowed = asker.account !== undefined || (isUnowned && asker.isLocal() === true)
  const because = isUnowned
    ? 'there are no access rules and no account in the file, so only programs on the machine of the edge may, and not even they once a robot was issued'
    : 'there are no access rules, so whoever has logged in may, and nobody else'
  const policy = policyOf(config, asked)
  return { allowed, rule: undefined, place: undefined, because: [because, ...policy] }
}

/** Programs of the machine show one like others. */
function tellByToken(config: Config, asked: Asked): Told {
  const allowed = asked.asker.account !== undefined
  const because = isRobot(asked.asker)
    ? 'there are no access rules, so a robot may, by its secret'
    : 'there are no access rules, so whoever shows a token of auth.token’s server may do what it grants, and nobody else anything'
  const policy = policyOf(config, asked)
  return { allowed, rule: undefined, place: undefined, because: [because, ...policy] }
}

/**
 * Which repository it is, where it was written otherwise, and what holds for a write whoever asks.
 */
function policyOf({ auth, repositories }: Config, asked: Asked): string[] {
  const { name, action, repository } = asked
  const key = repositoryKey(repository)
  const spelled = key === name ? [] : [`${name} is ${key}`]
  const { push, deletable } = createPolicies(repositories).find(repository)
  if (action === 'push' && push === 'deny')
    return [...spelled, 'repositories refuses all pushes there']
  if (action === 'delete' && !deletable)
    return [...spelled, 'repositories refuses all deletes there']
  // A robot shows its secret, and needs no grant.
  const needsGrant = auth?.token !== undefined && !isRobot(asked.asker)
  return needsGrant ? [...spelled, 'a token has to grant it, too'] : spelled
}

function isRobot({ account }: Asker): boolean {
  return account !== undefined && parseLoginName(account.name).kind === 'robot'
}

function describePlace(place: Place | undefined): string {
  if (place?.source === 'file') return ` on line ${place.line}`
  return place?.source === 'environment' ? ` in ${place.variable}` : ''
}

function describeRule({ who, match, tags, allow }: AccessRule): string {
  const about = tags.length === 0 ? '' : `, tags ${tags.join(' ')}`
  return `who ${formatName(who)}, match ${match}${about}, allow ${allow.length === 0 ? 'nothing' : allow.join(' ')}`
}
