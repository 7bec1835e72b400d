// Who shows a certificate: the names that stand in it where the operator wants them looked for. It
// must have been signed by an authority of his, for clients (RFC 5280, 4.2.1.12), and be valid yet.
// What OpenSSL says of a session that was resumed is not enough: it calls one good that never had a
// certificate.
import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { ShownCertificate } from '../../access/access.ts'

/** Where a name may stand. */
export type NameField = 'uri' | 'dns' | 'email' | 'cn'

export interface ClientCertificates {
  /** PEM, of each file. */
  readonly authorities: readonly string[]
  /** The first of these that a certificate has says its names. */
  readonly fields: readonly NameField[]
}

/** Of a certificate as a connection began with it; `expiresAtMs`: what was found holds so long. */
export interface ReadCertificate {
  readonly shown: ShownCertificate
  readonly expiresAtMs: number
}

export const NO_CERTIFICATE: ShownCertificate = { kind: 'none' }
export const EXPIRED: ShownCertificate = {
  kind: 'refused',
  reason: 'the client certificate has expired: renew it',
}

/** For what clients are (`id-kp-clientAuth`). */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
/** More names than that are no one's. */
const NAMES_MAX = 16
/** It stands in logs, and in rules. */
const NAME = /^[\x20-\x7e]{1,255}$/

export function readCertificate(
  socket: TLSSocket,
  fields: readonly NameField[],
): ReadCertificate | undefined {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  const expiresAtMs = certificate.validToDate.getTime()
  return { shown: judge(certificate, socket, fields), expiresAtMs }
}

function judge(
  certificate: X509Certificate,
  { authorized, authorizationError }: TLSSocket,
  fields: readonly NameField[],
): ShownCertificate {
  const refuse = (reason: string) => ({ kind: 'refused', reason }) as const
  if (!authorized) {
    if (String(authorizationError).includes(WRONG_PURPOSE)) return refuse(NOT_FOR_CLIENTS)
    return refuse(
      `the client certificate is not of an authority that this registry goes by, or not valid now (${String(authorizationError)})`,
    )
  }
  if (certificate.keyUsage?.includes(CLIENT_AUTH) !== true) return refuse(NOT_FOR_CLIENTS)
  const names = namesIn(certificate, fields)
  if (names.length > 0 && names.length <= NAMES_MAX) return { kind: 'named', names }
  return refuse(
    `the client certificate has no name where this registry looks for one (${fields.join(', ')}), too many, or one that is not plain text; cn counts only without a subjectAltName`,
  )
}

/** OpenSSL's, of one that says what it is for, and not this. */
const WRONG_PURPOSE = 'INVALID_PURPOSE'
const NOT_FOR_CLIENTS =
  'the client certificate is not for clients: its extendedKeyUsage lacks clientAuth'

const KINDS = { uri: 'URI', dns: 'DNS', email: 'email' } as const

function namesIn(certificate: X509Certificate, fields: readonly NameField[]): readonly string[] {
  const alternatives = readAlternatives(certificate.subjectAltName ?? '')
  for (const field of fields) {
    const found =
      field === 'cn'
        ? commonNames(certificate)
        : alternatives.flatMap(({ kind, name }) => (kind === KINDS[field] ? [name] : []))
    // Not by the next field instead: what is here may be what its authority was limited to.
    if (found.length > 0) return found.every(name => NAME.test(name)) ? [...new Set(found)] : []
  }
  return []
}

/**
 * What the authorities above one limit it to (RFC 5280, 4.2.1.10) is said of alternative names and
 * not of this one, so that it is nothing beside them.
 */
function commonNames(certificate: X509Certificate): readonly string[] {
  if (certificate.subjectAltName !== undefined) return []
  return [certificate.toLegacyObject().subject?.CN ?? []].flat()
}

const ALTERNATIVE = /(?<kind>[A-Za-z ]+):(?:(?<quoted>"(?:[^"\\]|\\.)*")|(?<plain>[^",]*))(?:, |$)/y

/** As node writes them: what could be taken for the next one stands between quotes, as in JSON. */
function readAlternatives(
  text: string,
): readonly { readonly kind: string; readonly name: string }[] {
  const found: { kind: string; name: string }[] = []
  ALTERNATIVE.lastIndex = 0
  while (ALTERNATIVE.lastIndex < text.length) {
    const { kind, quoted, plain } = ALTERNATIVE.exec(text)?.groups ?? {}
    // What is not understood makes nobody anybody.
    if (kind === undefined) return []
    const name = quoted === undefined ? (plain ?? '') : String(JSON.parse(quoted))
    found.push({ kind, name })
  }
  return found
}
