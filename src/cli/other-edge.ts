// The operator's API of an edge on another machine, as commands are told of it: where it is, and
// the token that is shown there, which is in a file or the environment and never an argument, since
// others on the machine can read those.
import { readLocalFile } from '../config/local-file.ts'
import type { AdminServer } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES } from './context.ts'

export const OTHER_EDGE_OPTIONS = {
  admin: { type: 'string' },
  'token-file': { type: 'string' },
  ca: { type: 'string' },
} as const

interface OtherEdgeValues {
  readonly admin?: string | undefined
  readonly 'token-file'?: string | undefined
  readonly ca?: string | undefined
  readonly socket?: string | undefined
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/
/** What a header can hold. */
const TOKEN = /^[\x21-\x7e]+$/

/** Undefined: it is asked on this machine. @throws CliError usage */
export function findOtherEdge(
  values: OtherEdgeValues,
  context: CliContext,
): AdminServer | undefined {
  const { admin, socket, ca } = values
  if (admin === undefined) {
    if (ca === undefined && values['token-file'] === undefined) return undefined
    throw usage('--token-file and --ca are for --admin URL')
  }
  if (socket !== undefined) throw usage('--admin and --socket name two servers')
  const url = readUrl(admin)
  const token = readToken(values['token-file'], context)
  return { kind: 'network', url, token, ca: ca === undefined ? undefined : readFile('--ca', ca) }
}

function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isWeb = url?.protocol === 'https:' || url?.protocol === 'http:'
  if (url === undefined || !isWeb || url.pathname !== '/' || url.search + url.hash !== '')
    throw usage('--admin is a URL such as https://edge.example.com:5002')
  if (url.username + url.password !== '')
    throw usage('--admin takes no password, which others could read: use --token-file')
  if (url.protocol === 'http:' && !LOOPBACK.test(url.hostname))
    throw usage('--admin is https, but on this machine: the token would be read on the way')
  return url
}

function readToken(file: string | undefined, { env }: CliContext): string {
  const text = file === undefined ? env['ENTREPOT_TOKEN'] : readFile('--token-file', file)
  const token = text?.trim() ?? ''
  if (token === '' && file === undefined)
    throw usage('--admin takes a token, in --token-file FILE or ENTREPOT_TOKEN')
  if (TOKEN.test(token)) return token
  throw usage(`${file === undefined ? 'ENTREPOT_TOKEN' : '--token-file'} holds no token`)
}

function readFile(option: string, path: string): string {
  const read = readLocalFile(path)
  if (read.kind === 'file') return read.text
  throw usage(`${option}: ${path} cannot be read`)
}

function usage(message: string): CliError {
  return new CliError(EXIT_CODES.usage, message)
}
