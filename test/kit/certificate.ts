// Certificates made in memory for TLS stubs: an authority of its own and one server certificate
// under it (RFC 5280). Just as much DER as that takes; no key lies in the repository and nothing
// expires while nobody looks.
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { isIP } from 'node:net'

export interface CertificateOptions {
  /** Default `localhost` and `127.0.0.1`; with none there is no subjectAltName at all. */
  readonly names?: readonly string[]
  /** Days of UTC, as `2026-01-31`. Default: from 2020 to 2099. */
  readonly validFrom?: string
  readonly validTo?: string
  /** Its key is one that nobody takes today. */
  readonly weak?: true
  /** Its time is over. */
  readonly expired?: true
  /** What its subject is called. Default `test server`. */
  readonly commonName?: string
  /** What it is for. Default: nothing is said. */
  readonly usage?: 'client' | 'server'
  /** Default: one of its own. */
  readonly authority?: Authority
}

export interface AuthorityOptions {
  /** Who signs it. Default: it does itself. */
  readonly under?: Authority
  readonly validTo?: string
  /** It may sign URIs of this host, and no others. */
  readonly uris?: string
}

export interface Authority {
  readonly name: string
  readonly key: KeyObject
  readonly ca: string
}

/** PEM, all three. */
export interface Certificate {
  readonly key: string
  readonly cert: string
  /** Of the authority that signed. */
  readonly ca: string
  readonly authority: Authority
}

const OID = {
  ecdsaWithSha256: '2a8648ce3d040302',
  commonName: '550403',
  basicConstraints: '551d13',
  subjectAltName: '551d11',
  extendedKeyUsage: '551d25',
  nameConstraints: '551d1e',
  client: '2b06010505070302',
  server: '2b06010505070301',
} as const

/** A new authority, where none is given, and a certificate under it each time. */
export function makeCertificate(options: CertificateOptions = {}): Certificate {
  const { names = ['localhost', '127.0.0.1'], expired, validFrom, validTo, usage } = options
  const authority = options.authority ?? makeAuthority()
  const own = newKey(options.weak === true ? 'prime192v1' : 'P-256')
  const cert = certificate({
    subject: options.commonName ?? 'test server',
    issuer: authority.name,
    publicKey: own,
    signer: authority.key,
    extensions: [
      ...(names.length === 0
        ? []
        : [extension(OID.subjectAltName, sequence(...names.map(generalName)))]),
      ...(usage === undefined ? [] : [extension(OID.extendedKeyUsage, sequence(oid(OID[usage])))]),
    ],
    notBefore: midnight(validFrom ?? '2020-01-01'),
    notAfter: midnight(validTo ?? (expired === true ? '2021-01-01' : '2099-01-01')),
  })
  const key = own.export({ type: 'pkcs8', format: 'pem' }).toString()
  return { key, cert, ca: authority.ca, authority }
}

export function makeAuthority({ under, uris, validTo }: AuthorityOptions = {}): Authority {
  const key = newKey()
  const called = under === undefined ? 'test authority' : `one under ${under.name}`
  const permitted = uris === undefined ? [] : [sequence(tlv(0x86, Buffer.from(uris)))]
  const ca = certificate({
    subject: called,
    issuer: under?.name ?? called,
    publicKey: key,
    signer: under?.key ?? key,
    extensions: [
      extension(OID.basicConstraints, sequence(tlv(0x01, Buffer.from([0xff])))),
      ...permitted.map(each => extension(OID.nameConstraints, sequence(tlv(0xa0, each)))),
    ],
    notBefore: midnight('2020-01-01'),
    notAfter: midnight(validTo ?? '2099-01-01'),
  })
  return { name: called, key, ca }
}

interface Parts {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
  readonly notBefore: string
  readonly notAfter: string
}

function midnight(day: string): string {
  return `${day.replaceAll('-', '')}000000Z`
}

function certificate(parts: Parts): string {
  const algorithm = sequence(oid(OID.ecdsaWithSha256))
  const body = sequence(
    tlv(0xa0, integer(2)),
    integer(parts.subject.length),
    algorithm,
    name(parts.issuer),
    sequence(time(parts.notBefore), time(parts.notAfter)),
    name(parts.subject),
    createPublicKey(parts.publicKey).export({ type: 'spki', format: 'der' }),
    ...(parts.extensions.length === 0 ? [] : [tlv(0xa3, sequence(...parts.extensions))]),
  )
  const signature = tlv(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, parts.signer)]))
  const der = sequence(body, algorithm, signature).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${der.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`
}

function newKey(namedCurve = 'P-256'): KeyObject {
  return generateKeyPairSync('ec', { namedCurve }).privateKey
}

function name(commonName: string): Buffer {
  const value = sequence(oid(OID.commonName), tlv(0x0c, Buffer.from(commonName)))
  return sequence(tlv(0x31, value))
}

function generalName(text: string): Buffer {
  if (isIP(text) === 4) return tlv(0x87, Buffer.from(text.split('.').map(Number)))
  if (text.includes('://')) return tlv(0x86, Buffer.from(text))
  return tlv(text.includes('@') ? 0x81 : 0x82, Buffer.from(text))
}

function extension(id: string, value: Buffer): Buffer {
  return sequence(oid(id), tlv(0x04, value))
}

function oid(hex: string): Buffer {
  return tlv(0x06, Buffer.from(hex, 'hex'))
}

function integer(value: number): Buffer {
  return tlv(0x02, Buffer.from([value]))
}

function time(text: string): Buffer {
  return tlv(0x18, Buffer.from(text))
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tlv(0x30, Buffer.concat(parts))
}

function tlv(tag: number, value: Buffer): Buffer {
  const { length } = value
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), value])
}
