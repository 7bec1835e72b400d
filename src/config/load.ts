// From what the operator wrote, file and environment, to one frozen Config or to every fault at
// once. Pure: files are read through the function that is given.
import { buildConfig } from './build/build.ts'
import { WELL_KNOWN_HOSTS } from './built-in.ts'
import type { Config } from './config.ts'
import { type Entry, type Node, parseYaml } from './document.ts'
import { overrideFromEnvironment } from './environment.ts'
import { type Finding, findingAt, pathKey, type Place, sortFindings } from './findings.ts'
import { type Disk, Judge, type ReadFile } from './judge.ts'
import { type ReadSettings, readSettings } from './read-settings.ts'
import type { Settings } from './schema/schema.ts'

export interface LoadOptions {
  /** Undefined: no file, only built-in defaults and the environment. */
  readonly file?: { readonly path: string; readonly text: string } | undefined
  /** The whole environment; what is not ours is left alone. */
  readonly env: Readonly<Record<string, string | undefined>>
  /** For the files that keys name. MUST NOT throw. */
  readonly readFile: ReadFile
  /** Is there a directory of this path? Default: never. Decides where the admin socket is. */
  readonly isDirectory?: (path: string) => boolean
  /** See Surroundings. Default: nothing is known. */
  readonly whyNoLog?: (path: string) => string | undefined
  /** See Surroundings. Default: nothing is known. */
  readonly diskOf?: (path: string) => Disk | undefined
  /** Wall clock, for certificates that expire. Default: their time is not judged. */
  readonly nowMs?: number
}

export type LoadResult =
  | { readonly kind: 'ok'; readonly config: Config; readonly warnings: readonly Finding[] }
  | {
      readonly kind: 'invalid'
      /** Errors and warnings, in the file's order; at least one error. */
      readonly findings: readonly Finding[]
      readonly socket: SocketGuess
      /** Where the file of accounts is, which may be what is faulty. Undefined: nothing says so. */
      readonly accountsPath: string | undefined
    }

/** `admin.socket` of a faulty configuration: the server that runs can be asked all the same. */
export interface SocketGuess {
  readonly path: string
  /**
   * It is where the configuration says. If not, a fault may hide what it says, and the path may be
   * another server's.
   */
  readonly isSure: boolean
}

/** Never throws for anything that file or environment hold. */
export function loadConfig(options: LoadOptions): LoadResult {
  const parsed = parseYaml(options.file?.text ?? '')
  const { config, read } = readTree(parsed.root, options)
  const distribution = distributionFile(parsed.root)
  const isClear = parsed.findings.length === 0 && distribution === undefined
  const socket = { path: config.admin.socket, isSure: isSureSocket(read, isClear) }
  const where = { socket, accountsPath: config.auth?.file?.path }
  if (parsed.kind === 'broken')
    return { kind: 'invalid', findings: sortFindings(parsed.findings), ...where }
  if (distribution !== undefined) return { kind: 'invalid', findings: [distribution], ...where }
  const all = sortFindings([...parsed.findings, ...read.findings])
  return all.some(finding => finding.severity === 'error')
    ? { kind: 'invalid', findings: all, ...where }
    : { kind: 'ok', config, warnings: all }
}

function readTree(
  tree: Node,
  {
    env,
    readFile,
    isDirectory = () => false,
    whyNoLog = () => undefined,
    diskOf = () => undefined,
    nowMs,
  }: LoadOptions,
): { readonly config: Config; readonly read: ReadSettings } {
  const { root, findings } = overrideFromEnvironment(withUpstreams(tree), env, WELL_KNOWN_HOSTS)
  const read = readSettings(root)
  const judge = new Judge({ env, readFile, isDirectory, whyNoLog, diskOf, nowMs }, read)
  const settings = hasUpstreams(root) ? read.settings : withWellKnown(read.settings)
  const config = buildConfig(judge, settings)
  return { config, read: { ...read, findings: [...findings, ...read.findings, ...judge.findings] } }
}

const SOCKET_PATH = ['admin', 'socket']
/**
 * Where a fault hides the socket that was written, or the directory that it is in by default.
 * Empty: the file, or a variable that is none.
 */
const HIDING_SOCKET = new Set(['', 'admin', 'storage', 'storage.rootdirectory'])

/**
 * @param isClear the text is YAML in which every key stands once, so that what was read in it is
 * what it says
 */
function isSureSocket(read: ReadSettings, isClear: boolean): boolean {
  const errors = read.findings.filter(({ severity }) => severity === 'error')
  if (errors.some(({ path }) => path === SOCKET_PATH.join('.'))) return false
  const place = read.places.get(pathKey(SOCKET_PATH))
  if (place !== undefined) return isClear || place.source === 'environment'
  return isClear && !read.hasUnknownKeys && !errors.some(({ path }) => HIDING_SOCKET.has(path))
}

/**
 * distribution's own file begins with `version: 0.1`; its keys would give thirty errors that help
 * nobody.
 */
function distributionFile(root: Node): Finding | undefined {
  const version = root.kind === 'map' ? root.entries.get('version') : undefined
  if (version?.value.kind !== 'scalar' || version.value.text !== '0.1') return undefined
  return findingAt(['version'], version.keyPlace, {
    message:
      'this is a configuration of the distribution registry (registry:2, registry:3), which this version cannot read yet; write one of Entrepot',
  })
}

/**
 * Is the key what it should be? If not, that is one fault and not a reason to miss docker.io as
 * well.
 */
function hasUpstreams(root: Node): boolean {
  return root.kind === 'map' && root.entries.get('upstreams')?.value.kind === 'map'
}

function withWellKnown(settings: Settings): Settings {
  const nothing: Node = { kind: 'empty', place: { source: 'built in' } }
  return { ...settings, upstreams: readSettings(withUpstreams(nothing)).settings.upstreams }
}

/**
 * Without the key, or with nothing under it, the well-known registries; with it, exactly those
 * listed.
 */
function withUpstreams(root: Node): Node {
  if (root.kind === 'scalar' || root.kind === 'list') return root
  const before = root.kind === 'map' ? root.entries : new Map<string, Entry>()
  // An empty key is what stays when everything under it is commented out.
  if ((before.get('upstreams')?.value.kind ?? 'empty') !== 'empty') return root
  const place: Place = { source: 'built in' }
  const hosts = WELL_KNOWN_HOSTS.map(
    host => [host, { keyPlace: place, value: { kind: 'empty', place } }] as const,
  )
  const value: Node = { kind: 'map', entries: new Map<string, Entry>(hosts), place }
  return {
    kind: 'map',
    entries: new Map([...before, ['upstreams', { keyPlace: place, value }]]),
    place: root.place,
  }
}
