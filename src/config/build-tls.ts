// `http.tls` → the certificates that clients are shown, judged while an operator reads the answer:
// at the start, on a reload, in `check`.
import { isIP } from 'node:net'
import type { X509Certificate } from 'node:crypto'
import type { TlsConfig } from './config.ts'
import type { Path } from './findings.ts'
import type { Judge } from './judge.ts'
import { judgePair } from './judge-certificate.ts'
import type { Settings } from './schema.ts'

const MINIMUM = { 'tls1.2': 'TLSv1.2', 'tls1.3': 'TLSv1.3' } as const

const AT: Path = ['http', 'tls']

/** Undefined when there is no TLS, or none that could be used, which is then noted. */
export function buildTls(judge: Judge, { http }: Settings): TlsConfig | undefined {
  if (http.tls === undefined) return undefined
  const minimumVersion = MINIMUM[http.tls.minimumtls]
  const { nowMs } = judge.surroundings
  const [certificateFile, keyFile] = [http.tls.certificate, http.tls.key].map(file =>
    judge.credential(file),
  ) as [string, string]
  const files = {
    certificate: {
      path: certificateFile,
      text: judge.readFile([...AT, 'certificate'], certificateFile, 'public'),
    },
    key: { path: keyFile, text: judge.readFile([...AT, 'key'], keyFile, 'secret') },
  }
  const { findings, certificate, pair } = judgePair(files, { minimumVersion, nowMs })
  for (const { at, ...text } of findings) judge.note([...AT, at], text)
  if (certificate !== undefined)
    judgeName(judge, certificate, { file: certificateFile, publicUrl: http.host })
  return pair && { certificates: [pair], minimumVersion }
}

function judgeName(
  judge: Judge,
  certificate: X509Certificate,
  { file, publicUrl }: { file: string; publicUrl: string | undefined },
): void {
  if (publicUrl === undefined || certificate.subjectAltName === undefined) return
  const host = new URL(publicUrl).hostname.replace(/^\[|\]$/g, '')
  const covered = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)
  if (covered !== undefined) return
  const message = `the certificate in ${file} is not for ${host}, which http.host says clients call this edge`
  judge.note([...AT, 'certificate'], { severity: 'warning', message })
}
