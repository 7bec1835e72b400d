// The certificate that clients are shown, judged while an operator reads the answer: at the start,
// on a reload, in `check`. What a client would stumble over later, in words of its own, is told
// here.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { TlsConfig } from './config.ts'
import type { Path } from './findings.ts'
import type { Judge } from './judge.ts'
import type { Settings } from './schema.ts'
import { Secret } from './secret.ts'

const DAY_MS = 86_400_000
/**
 * Time for a person to notice and to renew; of a certificate that lives shorter, a third of its
 * life.
 */
const EXPIRES_SOON_MS = 14 * DAY_MS
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
/** PKCS #8 and the older form. */
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m
const MINIMUM = { 'tls1.2': 'TLSv1.2', 'tls1.3': 'TLSv1.3' } as const

const AT = ['http', 'tls'] as const
const AT_CERTIFICATE: Path = [...AT, 'certificate']
const AT_KEY: Path = [...AT, 'key']

/** Undefined when there is no TLS, or none that could be used, which is then noted. */
export function buildTls(judge: Judge, { http }: Settings): TlsConfig | undefined {
  if (http.tls === undefined) return undefined
  const { minimumtls } = http.tls
  const file = judge.credential(http.tls.certificate)
  const keyFile = judge.credential(http.tls.key)
  const text = judge.readPem(AT_CERTIFICATE, { file, label: 'CERTIFICATE', what: 'public' })
  const keyText = judge.readPem(AT_KEY, { file: keyFile, label: 'PRIVATE KEY', what: 'secret' })
  const chain = text === undefined ? undefined : readChain(judge, text, file)
  const key = keyText === undefined ? undefined : readKey(judge, keyText, keyFile)
  const [certificate] = chain ?? []
  if (text === undefined || chain === undefined || certificate === undefined) return undefined
  if (key !== undefined && !belongTogether(judge, chain, { key, file, keyFile })) return undefined
  judgeTime(judge, certificate, file)
  judgeNames(judge, certificate, { file, publicUrl: http.host })
  if (keyText === undefined || key === undefined) return undefined
  const minimumVersion = MINIMUM[minimumtls]
  tryOut(judge, { cert: text, key: keyText, minVersion: minimumVersion })
  return {
    certificate: text,
    key: new Secret(keyText),
    minimumVersion,
    expiresAtMs: certificate.validToDate.getTime(),
    isForLoopback: isForLoopback(certificate),
    names: namesOf(certificate),
  }
}

/** The server's certificate is the first. */
function readChain(judge: Judge, text: string, file: string): X509Certificate[] | undefined {
  try {
    return (text.match(CERTIFICATE) ?? []).map(pem => new X509Certificate(pem))
  } catch {
    judge.note(AT_CERTIFICATE, { message: `${file} holds a certificate that is damaged` })
    return undefined
  }
}

function readKey(judge: Judge, text: string, file: string): KeyObject | undefined {
  if (ENCRYPTED.test(text)) {
    const message = `the key in ${file} is encrypted, and nobody is there to type its passphrase; write it out without one (openssl pkey -in ${file} -out NEW) and protect the file instead (chmod 600)`
    judge.note(AT_KEY, { message })
    return undefined
  }
  try {
    return createPrivateKey(text)
  } catch {
    judge.note(AT_KEY, { message: `${file} holds a private key that is damaged` })
    return undefined
  }
}

function belongTogether(
  judge: Judge,
  chain: readonly X509Certificate[],
  { key, file, keyFile }: { key: KeyObject; file: string; keyFile: string },
): boolean {
  const at = chain.findIndex(certificate => certificate.checkPrivateKey(key))
  if (at === 0) return true
  const message =
    at > 0
      ? `in ${file} the certificate of the server must come first, before those that signed it; it is number ${at + 1}`
      : `${keyFile} is the key of another certificate than the one in ${file}`
  judge.note(at > 0 ? AT_CERTIFICATE : AT_KEY, { message })
  return false
}

/** What OpenSSL refuses beyond that: keys and signatures that are too weak. */
function tryOut(judge: Judge, options: Parameters<typeof createSecureContext>[0]): void {
  try {
    createSecureContext(options)
  } catch (error) {
    // OpenSSL's own word, without the numbers around it.
    const reason = error instanceof Error && 'reason' in error ? error.reason : error
    judge.note(AT_CERTIFICATE, { message: `cannot be used for TLS: ${String(reason)}` })
  }
}

const LOOPBACK_NAME =
  /^(?:DNS:(?:[a-z0-9_*-]+\.)*localhost|IP Address:(?:127\.[\d.]+|0:0:0:0:0:0:0:1))$/i

function isForLoopback({ subjectAltName = '' }: X509Certificate): boolean {
  return subjectAltName.split(', ').every(name => LOOPBACK_NAME.test(name))
}

function namesOf({ subjectAltName = '' }: X509Certificate): readonly string[] {
  const named = subjectAltName.matchAll(/(?:DNS|IP Address):([a-z0-9_.-]+)(?:, |$)/gi)
  return Array.from(named, ([, name = '']) => name)
}

function judgeTime(judge: Judge, certificate: X509Certificate, file: string): void {
  const { nowMs } = judge.surroundings
  if (nowMs === undefined) return
  const [fromMs, toMs] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()]
  const day = (ms: number) => new Date(ms).toISOString().slice(0, 10)
  const soonMs = Math.min(EXPIRES_SOON_MS, (toMs - fromMs) / 3)
  if (toMs <= nowMs) {
    // An edge that stays down helps nobody: clients that check say so themselves, and it may be the
    // clock that is wrong.
    const message = `the certificate in ${file} expired on ${day(toMs)}, so clients refuse it: renew it, and restart; by the clock of this machine it is ${day(nowMs)}`
    judge.note(AT_CERTIFICATE, { severity: 'warning', message })
  } else if (toMs - nowMs < soonMs) {
    const message = `the certificate in ${file} expires on ${day(toMs)}: renew it, and restart`
    judge.note(AT_CERTIFICATE, { severity: 'warning', message })
  } else if (fromMs > nowMs) {
    // A machine whose clock is not set yet must come up all the same.
    const message = `the certificate in ${file} is not valid before ${day(fromMs)}, and by the clock of this machine it is ${day(nowMs)}`
    judge.note(AT_CERTIFICATE, { severity: 'warning', message })
  }
}

function judgeNames(
  judge: Judge,
  certificate: X509Certificate,
  { file, publicUrl }: { file: string; publicUrl: string | undefined },
): void {
  if (certificate.subjectAltName === undefined) {
    const message = `the certificate in ${file} has no subjectAltName, so docker, containerd and podman refuse it: make one with the names and addresses of this edge in it`
    judge.note(AT_CERTIFICATE, { severity: 'warning', message })
    return
  }
  if (publicUrl === undefined) return
  const host = new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')
  const covered = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)
  if (covered !== undefined) return
  const message = `the certificate in ${file} is not for ${host}, which http.host says clients call this edge`
  judge.note(AT_CERTIFICATE, { severity: 'warning', message })
}
