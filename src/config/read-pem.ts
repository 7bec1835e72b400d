// Files of certificates and keys, as far as their armour: what is inside shows when TLS uses it.
import type { Path } from './findings.ts'
import type { Judge } from './judge.ts'

export interface PemFile {
  readonly file: string
  readonly label: 'CERTIFICATE' | 'PRIVATE KEY'
  /** Whether others than the server's user may read it. */
  readonly what: 'public' | 'secret'
}

/**
 * The file's whole text; undefined when it cannot be read or holds no PEM of that label, which is
 * then noted at `path`.
 */
export function readPem(
  judge: Judge,
  path: Path,
  { file, label, what }: PemFile,
): string | undefined {
  const text = judge.readFile(path, file, what)
  if (text === undefined) return undefined
  if (new RegExp(`-----BEGIN [A-Z ]*${label}-----`).test(text)) return text
  judge.note(path, { message: `${file} holds no PEM ${label.toLowerCase()}` })
  return undefined
}
