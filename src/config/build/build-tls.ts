// `http.tls` → the certificates that clients are shown, judged while an operator reads the answer:
// at the start, on a reload, in `check`.
import { isIP } from 'node:net'
import type { X509Certificate } from 'node:crypto'
import type { CertifiedKey, TlsConfig } from '../config.ts'
import type { Path } from '../findings.ts'
import type { Judge } from '../judge.ts'
import { judgeAuthorities, judgePair } from './judge-certificate.ts'
import type { Settings } from '../schema/schema.ts'

const MINIMUM = { 'tls1.2': 'TLSv1.2', 'tls1.3': 'TLSv1.3' } as const

type TlsSettings = Exclude<Settings['http']['tls'], undefined>

const AT: Path = ['http', 'tls']

interface Judged {
  readonly at: Path
  readonly certificate: X509Certificate | undefined
  readonly pair: CertifiedKey | undefined
}

/** Undefined when there is no TLS, or none that could be used, which is then noted. */
export function buildTls(judge: Judge, settings: Settings): TlsConfig | undefined {
  const { tls } = settings.http
  if (tls === undefined) return undefined
  const minimumVersion = MINIMUM[tls.minimumtls]
  const judged = [
    judgeFiles(judge, AT, { ...tls, minimumVersion }),
    ...tls.certificates.map((each, at) =>
      judgeFiles(judge, [...AT, 'certificates', at], { ...each, minimumVersion }),
    ),
  ]
  judgeDoubles(judge, judged)
  judgeCovered(judge, settings, judged)
  const certificates = judged.flatMap(({ pair }) => pair ?? [])
  const clients = buildClients(judge, tls)
  if (certificates.length < judged.length) return undefined
  return { certificates, minimumVersion, clients }
}

function buildClients(judge: Judge, { clientcas, clientnames }: TlsSettings): TlsConfig['clients'] {
  if (clientcas.length === 0) return undefined
  const authorities = clientcas.map((name, at) => {
    const path: Path = [...AT, 'clientcas', at]
    const file = judge.credential(name)
    const text = judge.readFile(path, file, 'public')
    for (const finding of judgeAuthorities({ path: file, text }, judge.surroundings.nowMs))
      judge.note(path, finding)
    return { file, text: text ?? '' }
  })
  // Of those that were written and are faulty that was told.
  if (clientnames.length === 0 && !judge.isWritten([...AT, 'clientnames', 0]))
    judge.note([...AT, 'clientnames'], { message: 'must name one place at least' })
  return { authorities, fields: clientnames }
}

function judgeFiles(
  judge: Judge,
  at: Path,
  files: {
    readonly certificate: string
    readonly key: string
    readonly minimumVersion: TlsConfig['minimumVersion']
  },
): Judged {
  const { nowMs } = judge.surroundings
  const read = (which: 'certificate' | 'key') => {
    const path = judge.credential(files[which])
    const what = which === 'key' ? 'secret' : 'public'
    return { path, text: judge.readFile([...at, which], path, what) }
  }
  const pairFiles = { certificate: read('certificate'), key: read('key') }
  const { minimumVersion } = files
  const { findings, certificate, pair } = judgePair(pairFiles, { minimumVersion, nowMs })
  for (const { at: which, ...text } of findings) judge.note([...at, which], text)
  return { at, certificate, pair }
}

/** Of two for one name the first is shown, and somebody may wait for the other. */
function judgeDoubles(judge: Judge, judged: readonly Judged[]): void {
  const owners = new Map<string, string>()
  for (const { at, pair } of judged) {
    if (pair === undefined) continue
    const { names, certificateFile } = pair
    const double = names.find(name => owners.has(name))
    if (double !== undefined) {
      const message = `the certificate in ${certificateFile} is for ${double}, as that in ${owners.get(double)} is, which is shown for it`
      judge.note([...at, 'certificate'], { severity: 'warning', message })
    }
    for (const name of names) if (!owners.has(name)) owners.set(name, certificateFile)
  }
}

/** Names by which the configuration says that clients call this edge. */
function judgeCovered(
  judge: Judge,
  { http, upstreams }: Settings,
  judged: readonly Judged[],
): void {
  const certificates = judged.flatMap(({ certificate }) => certificate ?? [])
  const [only] = judged
  // What is faulty is told, and may be for any name.
  if (certificates.length < judged.length || only === undefined) return
  const isCovered = (host: string) =>
    // Of one without names that was told.
    certificates.some(each => each.subjectAltName === undefined || isFor(each, host))
  const which =
    judged.length === 1
      ? `the certificate in ${only.pair?.certificateFile ?? http.tls?.certificate} is not`
      : 'no certificate of http.tls is'
  const warn = (path: Path, message: string) => judge.note(path, { severity: 'warning', message })
  if (http.host !== undefined) {
    const host = hostOf(new URL(http.host).hostname)
    if (!isCovered(host)) {
      const message = `${which} for ${host}, which http.host says clients call this edge`
      warn([...AT, 'certificate'], message)
    }
  }
  const listed: readonly (readonly [Path, readonly string[]])[] = [
    [['http', 'names'], http.names],
    [['http', 'hosts'], http.hosts],
    ...Object.entries(upstreams).map(
      ([host, { virtualhosts }]) => [['upstreams', host, 'virtualhosts'], virtualhosts] as const,
    ),
  ]
  for (const [path, names] of listed)
    for (const [at, name] of names.entries()) {
      const host = hostOf(name)
      if (!isCovered(host)) warn([...path, at], `${which} for ${host}`)
    }
}

function hostOf(name: string): string {
  return name.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
}

function isFor(certificate: X509Certificate, host: string): boolean {
  const found = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)
  return found !== undefined
}
