// The certificates of a file of PEM. TLS is given each by itself: in a whole file OpenSSL stops,
// without a word, at a line that does not begin or end as it should, as `cat` leaves one behind a
// file without a newline at its end.
import { X509Certificate } from 'node:crypto'

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
/** What is cut, or of a kind that nobody here reads. */
const CUT = /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----/
const BLOCK = /-----BEGIN/

export interface PemFile {
  readonly path: string
  readonly text: string
}

export interface ReadCertificates {
  /** One at least. */
  readonly certificates: readonly X509Certificate[]
  /** The file has blocks of PEM that are no certificates. */
  readonly hasMore: boolean
}

/** All of them, or what is wrong with the file. */
export function readCertificates({
  path,
  text,
}: PemFile): ReadCertificates | { readonly fault: string } {
  const rest = text.replaceAll(CERTIFICATE, '')
  try {
    const certificates = certificatesIn(text).map(pem => new X509Certificate(pem))
    if (certificates.length > 0 && !CUT.test(rest))
      return { certificates, hasMore: BLOCK.test(rest) }
  } catch {
    // Told below.
  }
  const what = holdsPem(text, 'CERTIFICATE')
    ? 'holds a certificate that is damaged'
    : 'holds no PEM certificate'
  return { fault: `${path} ${what}` }
}

/** Of a text that was read so, in its order: PEM, each by itself. */
export function certificatesIn(text: string): readonly string[] {
  return text.match(CERTIFICATE) ?? []
}

/** The same as one text, for what takes a chain. */
export function chainIn(text: string): string {
  return certificatesIn(text)
    .map(pem => `${pem}\n`)
    .join('')
}

/** What it means as authorities: each once, in one spelling and order. */
export function authoritiesIn(text: string): string {
  const all = certificatesIn(text).map(pem => new X509Certificate(pem).toString())
  return [...new Set(all)].toSorted().join('')
}

export function holdsPem(text: string, label: 'CERTIFICATE' | 'PRIVATE KEY'): boolean {
  return new RegExp(`-----BEGIN [A-Z ]*${label}-----`).test(text)
}
