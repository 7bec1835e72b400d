// The operator's API of an edge on another machine, as commands are told of it: where it is, and
// what is shown there: a token, which is in a file or the environment and never an argument, since
// others on the machine can read those, or a certificate.
import { createSecureContext } from 'node:tls'
import { readLocalFile } from '../config/local-file.ts'
import type { AdminServer } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES } from './context.ts'

export const OTHER_EDGE_OPTIONS = {
  admin: { type: 'string' },
  'token-file': { type: 'string' },
  cert: { type: 'string' },
  key: { type: 'string' },
  ca: { type: 'string' },
} as const

/** Behind those of a command; two columns are theirs. */
export const OTHER_EDGE_HELP = `admin.api of an edge elsewhere, for whom a rule allows admin: by a token of
                 --token-file FILE or ENTREPOT_TOKEN, or --cert FILE and --key FILE, a certificate
                 of http.tls.clientcas; --ca FILE: the authority of the edge's own certificate`

interface OtherEdgeValues {
  readonly admin?: string | undefined
  readonly 'token-file'?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
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
    const others = [values['token-file'], values.cert, values.key, ca]
    if (others.every(each => each === undefined)) return undefined
    throw usage('--token-file, --cert, --key and --ca are for --admin URL')
  }
  if (socket !== undefined) throw usage('--admin and --socket name two servers')
  const url = readUrl(admin)
  const certificate = readCertificate(values, url)
  const token = readToken(values['token-file'], context)
  if (token === undefined && certificate === undefined)
    throw usage(
      '--admin takes a token, in --token-file FILE or ENTREPOT_TOKEN, or a certificate: --cert FILE --key FILE',
    )
  const authority = ca === undefined ? undefined : readFile('--ca', ca)
  return { kind: 'network', url, token, certificate, ca: authority }
}

function readCertificate(
  { cert, key }: OtherEdgeValues,
  { protocol }: URL,
): { readonly cert: string; readonly key: string } | undefined {
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) throw usage('--cert and --key go together')
  if (protocol === 'http:') throw usage('--cert is shown over TLS alone, and --admin is http')
  const pair = { cert: readFile('--cert', cert), key: readFile('--key', key) }
  try {
    createSecureContext(pair)
  } catch {
    throw usage(`${cert} and ${key} are no certificate with its key, in PEM`)
  }
  return pair
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

/** Undefined: there is none. */
function readToken(file: string | undefined, { env }: CliContext): string | undefined {
  const text = file === undefined ? env['ENTREPOT_TOKEN'] : readFile('--token-file', file)
  const token = text?.trim() ?? ''
  if (token === '' && file === undefined) return undefined
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
