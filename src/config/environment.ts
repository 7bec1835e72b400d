// Environment variables over the file: ENTREPOT_ and the key's path in capitals, every other
// character as _ . Lists and maps are written as YAML; a list of plain values also with commas.
import { parseYamlValue, type Entry, type Node } from './document.ts'
import { type Finding, findingAt, formatPath, type Place } from './findings.ts'
import { ANY_KEY, isAnyKey, type KeySchema, listKeys } from './schema/keys.ts'
import { KEY_SCHEMA, LATER_KEYS } from './schema/schema.ts'
import { closest } from './suggest.ts'

/**
 * No keys: the first names the configuration file, the second says whether compiled code may be
 * loaded, the third is what commands show to an edge elsewhere. Read elsewhere.
 */
const NO_KEYS = ['ENTREPOT_CONFIG', 'ENTREPOT_NATIVE', 'ENTREPOT_TOKEN']
const PREFIX = 'ENTREPOT_'

/**
 * Variables of the distribution registry, by its top-level keys; others begin with REGISTRY_ for
 * reasons of their own.
 */
const OF_DISTRIBUTION =
  /^REGISTRY_(?:VERSION|LOG|LOGLEVEL|STORAGE|AUTH|MIDDLEWARE|REPORTING|HTTP|NOTIFICATIONS|REDIS|HEALTH|PROXY|COMPATIBILITY|VALIDATION|POLICY|CATALOG)(?:_|$)/
/** Where containers' tools find credentials. */
const REGISTRY_AUTH_FILE = 'REGISTRY_AUTH_FILE'

export interface Overridden {
  readonly root: Node
  readonly findings: readonly Finding[]
}

/** `upstreams.docker.io.ttl` → `ENTREPOT_UPSTREAMS_DOCKER_IO_TTL` */
export function variableOf(path: readonly string[]): string {
  return PREFIX + path.map(variablePart).join('_')
}

function variablePart(text: string): string {
  return text.toUpperCase().replace(/[^A-Z0-9]/g, '_')
}

/**
 * Lays every ENTREPOT_ variable over `root`. An empty one counts as not set. Maps come before what
 * is in them, so that an upstream that one variable adds can be completed by the next.
 * @param knownHosts upstreams that variables may name although nobody listed them
 */
export function overrideFromEnvironment(
  root: Node,
  env: Readonly<Record<string, string | undefined>>,
  knownHosts: readonly string[],
): Overridden {
  const findings: Finding[] = [...distributionVariables(env)]
  let overridden = root
  const names = Object.keys(env).filter(name => name.startsWith(PREFIX) && !NO_KEYS.includes(name))
  for (const name of names.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1))) {
    const text = env[name]
    if (text === undefined || text === '') continue
    const place: Place = { source: 'environment', variable: name }
    const target = findTarget(name, [...hostsIn(overridden), ...knownHosts])
    if (target.kind === 'unknown') {
      findings.push(findingAt([], place, target))
      continue
    }
    const node = readVariable(text, target.schema, place)
    if (node === undefined)
      findings.push(findingAt(target.path, place, { message: 'is no valid YAML' }))
    else overridden = replace(overridden, target.path, node)
  }
  return { root: overridden, findings }
}

/** One for all of them: who moves from distribution has many. */
function distributionVariables(
  env: Readonly<Record<string, string | undefined>>,
): readonly Finding[] {
  const names = Object.keys(env).filter(
    name => OF_DISTRIBUTION.test(name) && name !== REGISTRY_AUTH_FILE && env[name] !== '',
  )
  const [first] = names.toSorted()
  if (first === undefined) return []
  const count = names.length === 1 ? '' : `, one of ${names.length},`
  const message = `is a variable of the distribution registry${count} and has no effect in this version; Entrepot reads ${PREFIX}*`
  const place: Place = { source: 'environment', variable: first }
  return [findingAt([], place, { severity: 'warning', message })]
}

type Target =
  | { readonly kind: 'key'; readonly path: readonly string[]; readonly schema: KeySchema }
  | {
      readonly kind: 'unknown'
      readonly severity: 'error' | 'warning'
      readonly message: string
      readonly suggestion?: string | undefined
    }

function findTarget(name: string, hosts: readonly string[]): Target {
  const table = new Map<string, Found[]>()
  for (const { path, schema } of listKeys(KEY_SCHEMA)) {
    for (const concrete of withHosts(path, hosts)) {
      const variable = variableOf(concrete)
      table.set(variable, [...(table.get(variable) ?? []), { path: concrete, schema }])
    }
  }
  const [found, other] = table.get(name) ?? []
  if (found !== undefined && other === undefined) return { kind: 'key', ...found }
  if (found !== undefined && other !== undefined) {
    const message = `is ${formatPath(found.path)} as well as ${formatPath(other.path)}; write it into the file`
    return { kind: 'unknown', severity: 'error', message }
  }
  const later = [...LATER_KEYS].find(key => `${name}_`.startsWith(`${variableOf(key.split('.'))}_`))
  if (later !== undefined) {
    return { kind: 'unknown', severity: 'error', message: `${later} is not in this version yet` }
  }
  const suggestion = closest(name, [...table.keys(), ...NO_KEYS])
  const message = name.startsWith(`${PREFIX}UPSTREAMS_`)
    ? 'is no key of an upstream that is configured or built in; it has no effect'
    : 'is no key of the configuration; it has no effect'
  return { kind: 'unknown', severity: 'warning', message, suggestion }
}

interface Found {
  readonly path: readonly string[]
  readonly schema: KeySchema
}

function withHosts(
  path: readonly string[],
  hosts: readonly string[],
): readonly (readonly string[])[] {
  // Other names than those of hosts are told in the file alone.
  if (!path.includes(ANY_KEY)) return path.some(isAnyKey) ? [] : [path]
  return [...new Set(hosts)].map(host => path.map(step => (step === ANY_KEY ? host : step)))
}

function hostsIn(root: Node): string[] {
  const upstreams = root.kind === 'map' ? root.entries.get('upstreams')?.value : undefined
  return upstreams?.kind === 'map' ? [...upstreams.entries.keys()] : []
}

function readVariable(text: string, schema: KeySchema, place: Place): Node | undefined {
  if (schema['x-format'] !== undefined) return { kind: 'scalar', text, quoted: false, place }
  const node = parseYamlValue(text, place)
  const isPlainList = schema.items?.['x-format'] !== undefined && node?.kind !== 'list'
  if (!isPlainList) return node
  const items = text.split(',').map(item => item.trim())
  const scalars = items.filter(item => item !== '').map(item => scalar(item, place))
  return { kind: 'list', items: scalars, place }
}

function scalar(text: string, place: Place): Node {
  return { kind: 'scalar', text, quoted: false, place }
}

/** A copy of `node` with `value` at `path`; maps on the way are made where they are missing. */
function replace(node: Node, path: readonly string[], value: Node): Node {
  const [key, ...rest] = path
  if (key === undefined) return value
  // What is no map here is a fault of the file, and stays to be found.
  if (node.kind === 'scalar' || node.kind === 'list') return node
  const entries = new Map<string, Entry>(node.kind === 'map' ? node.entries : [])
  const before = entries.get(key)
  const child = replace(before?.value ?? { kind: 'empty', place: value.place }, rest, value)
  entries.set(key, { keyPlace: before?.keyPlace ?? value.place, value: child })
  return { kind: 'map', entries, place: node.place }
}
