// Certificates made in memory for TLS stubs: an authority of its own and one server certificate under it (RFC 5280). Just as much
// DER as that takes; no key lies in the repository and nothing expires while nobody looks.
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { isIP } from 'node:net'

export interface CertificateOptions {
  /** Default `localhost` and `127.0.0.1`. */
  readonly names?: readonly string[]
  /** Its time is over. */
  readonly expired?: true
}

/** PEM, all three. */
export interface Certificate {
  readonly key: string
  readonly cert: string
  /** Of the authority that signed. */
  readonly ca: string
}

const OID = {
  ecdsaWithSha256: '2a8648ce3d040302',
  commonName: '550403',
  basicConstraints: '551d13',
  subjectAltName: '551d11',
} as const

/** A new authority and a server certificate each time. */
export function makeCertificate(options: CertificateOptions = {}): Certificate {
  const { names = ['localhost', '127.0.0.1'], expired } = options
  const authority = newKey()
  const server = newKey()
  const ca = certificate({
    subject: 'test authority',
    issuer: 'test authority',
    publicKey: authority,
    signer: authority,
    extensions: [extension(OID.basicConstraints, sequence(tlv(0x01, Buffer.from([0xff]))))],
    notAfter: '20990101000000Z',
  })
  const cert = certificate({
    subject: 'test server',
    issuer: 'test authority',
    publicKey: server,
    signer: authority,
    extensions: [extension(OID.subjectAltName, sequence(...names.map(generalName)))],
    notAfter: expired === true ? '20210101000000Z' : '20990101000000Z',
  })
  return { key: server.export({ type: 'pkcs8', format: 'pem' }).toString(), cert, ca }
}

interface Parts {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  readonly extensions: readonly Buffer[]
  readonly notAfter: string
}

function certificate(parts: Parts): string {
  const algorithm = sequence(oid(OID.ecdsaWithSha256))
  const body = sequence(
    tlv(0xa0, integer(2)),
    integer(parts.subject.length),
    algorithm,
    name(parts.issuer),
    sequence(time('20200101000000Z'), time(parts.notAfter)),
    name(parts.subject),
    createPublicKey(parts.publicKey).export({ type: 'spki', format: 'der' }),
    tlv(0xa3, sequence(...parts.extensions)),
  )
  const signature = tlv(0x03, Buffer.concat([Buffer.from([0]), sign('sha256', body, parts.signer)]))
  const der = sequence(body, algorithm, signature).toString('base64')
  return `-----BEGIN CERTIFICATE-----\n${der.match(/.{1,64}/g)?.join('\n')}\n-----END CERTIFICATE-----\n`
}

function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
}

function name(commonName: string): Buffer {
  const value = sequence(oid(OID.commonName), tlv(0x0c, Buffer.from(commonName)))
  return sequence(tlv(0x31, value))
}

function generalName(text: string): Buffer {
  if (isIP(text) === 4) return tlv(0x87, Buffer.from(text.split('.').map(Number)))
  return tlv(0x82, Buffer.from(text))
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
