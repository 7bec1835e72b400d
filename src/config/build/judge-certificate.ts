// A certificate and its key, judged on what they say alone: with the configuration, and again
// whenever their files have changed while the server runs. What a client would stumble over later,
// in words of its own, is told here.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { CertifiedKey, Expiry, TlsConfig } from '../config.ts'
import { certificatesIn, chainIn, holdsPem, readCertificates } from '../pem.ts'
import { Secret } from '../secret.ts'

const DAY_MS = 86_400_000
/**
 * Time for a person to notice and to renew; of a certificate that lives shorter, a third of its
 * life.
 */
const EXPIRES_SOON_MS = 14 * DAY_MS
/** PKCS #8 and the older form. */
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m

export interface PairFiles {
  readonly certificate: PairFile
  readonly key: PairFile
}

/** `text` undefined: it cannot be read, which is somebody else's to tell. */
interface PairFile {
  readonly path: string
  readonly text: string | undefined
}

export interface PairFinding extends CertificateFinding {
  readonly at: keyof PairFiles
}

export interface CertificateFinding {
  /** Default: error. */
  readonly severity?: 'warning'
  readonly message: string
}

export interface JudgedPair {
  readonly findings: readonly PairFinding[]
  /** The server's own, as far as it could be read. */
  readonly certificate: X509Certificate | undefined
  /** Undefined where a finding is an error, and where one of them could not be read. */
  readonly pair: CertifiedKey | undefined
}

export interface PairSurroundings {
  readonly minimumVersion: TlsConfig['minimumVersion']
  /** Wall clock; undefined: what depends on the time is not judged. */
  readonly nowMs: number | undefined
}

export function judgePair(
  files: PairFiles,
  { minimumVersion, nowMs }: PairSurroundings,
): JudgedPair {
  const findings: PairFinding[] = []
  const note = (finding: PairFinding) => void findings.push(finding)
  const chain = readChain(files.certificate, note)
  const key = readKey(files.key, note)
  const [certificate] = chain ?? []
  const none = { findings, certificate: undefined, pair: undefined }
  if (chain === undefined || certificate === undefined) return none
  if (key !== undefined && !belongTogether(chain, key, { files, note })) return none
  if (nowMs !== undefined) judgeTime(certificate, files.certificate.path, { nowMs, note })
  if (certificate.subjectAltName === undefined) {
    const message = `the certificate in ${files.certificate.path} has no subjectAltName, so docker, containerd and podman refuse it: make one with the names and addresses of this edge in it`
    note({ at: 'certificate', severity: 'warning', message })
  }
  const [cert, secret] = [files.certificate.text, files.key.text]
  if (cert === undefined || secret === undefined || key === undefined)
    return { findings, certificate, pair: undefined }
  if (!isTaken({ cert: chainIn(cert), key: secret, minVersion: minimumVersion }, note)) return none
  const pair: CertifiedKey = {
    certificateFile: files.certificate.path,
    keyFile: files.key.path,
    certificate: cert,
    key: new Secret(secret),
    ...expiryOf(certificate),
    isForLoopback: isForLoopback(certificate),
    names: namesOf(certificate),
  }
  return { findings, certificate, pair }
}

type Note = (finding: PairFinding) => void

/** The server's certificate is the first. */
function readChain({ path, text }: PairFile, note: Note): readonly X509Certificate[] | undefined {
  if (text === undefined) return undefined
  const read = readCertificates({ path, text })
  if (!('fault' in read)) return read.certificates
  note({ at: 'certificate', message: read.fault })
  return undefined
}

/** `nowMs` as of a pair. */
export function judgeAuthorities(
  { path, text }: PairFile,
  nowMs: number | undefined,
): readonly CertificateFinding[] {
  if (text === undefined) return []
  const read = readCertificates({ path, text })
  if ('fault' in read) return [{ message: read.fault }]
  // Also lists of revoked ones, by which nothing goes.
  if (read.hasMore)
    return [{ message: `${path} holds more than whole certificates: leave nothing else in it` }]
  if (nowMs === undefined) return []
  const findings: CertificateFinding[] = []
  for (const authority of read.certificates) {
    const { expiresAtMs: toMs, renewAtMs } = expiryOf(authority)
    if (nowMs <= renewAtMs) continue
    const when = toMs <= nowMs ? 'expired' : 'expires'
    const message = `an authority in ${path} (${authority.subject}) ${when} on ${dayOf(toMs)}, from when certificates that it signed are refused: renew it`
    findings.push({ severity: 'warning', message })
  }
  return findings
}

/** Of texts that were judged good: all of their certificates. */
export function expiriesOf(texts: readonly string[]): readonly Expiry[] {
  return texts.flatMap(certificatesIn).map(pem => expiryOf(new X509Certificate(pem)))
}

function readKey({ path, text }: PairFile, note: Note): KeyObject | undefined {
  if (text === undefined) return undefined
  const fault = (message: string) => note({ at: 'key', message })
  if (ENCRYPTED.test(text)) {
    fault(
      `the key in ${path} is encrypted, and nobody is there to type its passphrase; write it out without one (openssl pkey -in ${path} -out NEW) and protect the file instead (chmod 600)`,
    )
    return undefined
  }
  if (!holdsPem(text, 'PRIVATE KEY')) {
    fault(`${path} holds no PEM private key`)
    return undefined
  }
  try {
    return createPrivateKey(text)
  } catch {
    fault(`${path} holds a private key that is damaged`)
    return undefined
  }
}

function belongTogether(
  chain: readonly X509Certificate[],
  key: KeyObject,
  { files, note }: { readonly files: PairFiles; readonly note: Note },
): boolean {
  const at = chain.findIndex(certificate => certificate.checkPrivateKey(key))
  if (at === 0) return true
  const file = files.certificate.path
  if (at > 0)
    note({
      at: 'certificate',
      message: `in ${file} the certificate of the server must come first, before those that signed it; it is number ${at + 1}`,
    })
  else
    note({
      at: 'key',
      message: `${files.key.path} is the key of another certificate than the one in ${file}`,
    })
  return false
}

/** What OpenSSL refuses beyond that: keys and signatures that are too weak. */
function isTaken(options: Parameters<typeof createSecureContext>[0], note: Note): boolean {
  try {
    createSecureContext(options)
    return true
  } catch (error) {
    // OpenSSL's own word, without the numbers around it.
    const reason = error instanceof Error && 'reason' in error ? error.reason : error
    note({ at: 'certificate', message: `cannot be used for TLS: ${String(reason)}` })
    return false
  }
}

const LOOPBACK_NAME =
  /^(?:DNS:(?:[a-z0-9_*-]+\.)*localhost|IP Address:(?:127\.[\d.]+|0:0:0:0:0:0:0:1))$/i

function isForLoopback({ subjectAltName = '' }: X509Certificate): boolean {
  return subjectAltName.split(', ').every(name => LOOPBACK_NAME.test(name))
}

function namesOf({ subjectAltName = '' }: X509Certificate): readonly string[] {
  const named = subjectAltName.matchAll(/(?:DNS|IP Address):([a-z0-9_.*-]+)(?:, |$)/gi)
  return Array.from(named, ([, name = '']) => name.toLowerCase())
}

function judgeTime(
  certificate: X509Certificate,
  file: string,
  { nowMs, note }: { readonly nowMs: number; readonly note: Note },
): void {
  const fromMs = certificate.validFromDate.getTime()
  const { expiresAtMs: toMs, renewAtMs } = expiryOf(certificate)
  const warn = (message: string) => note({ at: 'certificate', severity: 'warning', message })
  if (toMs <= nowMs) {
    // An edge that stays down helps nobody: clients that check say so themselves, and it may be the
    // clock that is wrong.
    warn(
      `the certificate in ${file} expired on ${dayOf(toMs)}, so clients refuse it: renew it; by the clock of this machine it is ${dayOf(nowMs)}`,
    )
  } else if (nowMs > renewAtMs) {
    warn(`the certificate in ${file} expires on ${dayOf(toMs)}: renew it`)
  } else if (fromMs > nowMs) {
    // A machine whose clock is not set yet must come up all the same.
    warn(
      `the certificate in ${file} is not valid before ${dayOf(fromMs)}, and by the clock of this machine it is ${dayOf(nowMs)}`,
    )
  }
}

function expiryOf({ validFromDate, validToDate }: X509Certificate): Expiry {
  const [fromMs, expiresAtMs] = [validFromDate.getTime(), validToDate.getTime()]
  // Those that last for days are renewed when a third of that is left.
  return {
    expiresAtMs,
    renewAtMs: expiresAtMs - Math.min(EXPIRES_SOON_MS, (expiresAtMs - fromMs) / 3),
  }
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}
