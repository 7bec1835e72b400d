// The sums of the volumes that a bundle was cut into: as `sha256sum -c` reads them, and signed, in
// lines that it takes for comments. With them each volume can be verified alone.
import { createHash } from 'node:crypto'
import { type BundleKeyText, bundleKeyFrom, isSignedBy, statementOf } from './bundle-key.ts'
import { BundleFault } from './tar-pieces.ts'

export interface Volume {
  /** Without a directory. */
  readonly name: string
  readonly sizeBytes: number
  readonly sha256: string
}

export interface SignedSums {
  readonly key: BundleKeyText
  /** In base64, of `statementOf('volumes', sha256)`. */
  readonly signature: string
}

/** The text that is signed, and its SHA-256. */
export function sumsOf(volumes: readonly Volume[]): {
  readonly text: string
  readonly sha256: string
} {
  const lines = volumes.flatMap(({ name, sizeBytes, sha256 }) => [
    `# ${sizeBytes} bytes`,
    `${sha256}  ${name}`,
  ])
  const text = ['# entrepot volumes 1', ...lines].map(line => `${line}\n`).join('')
  return { text, sha256: createHash('sha256').update(text).digest('hex') }
}

/** What stands behind it. */
export function sumsEnd({ key, signature }: SignedSums): string {
  return `# ${key} ${signature}\n`
}

/** What such a text says, once its signature was right. @throws BundleFault */
export function readSums(text: string): { volumes: readonly Volume[]; key: BundleKeyText } {
  const end = /^# (\S+) (\S+)\n$/m.exec(text.slice(text.lastIndexOf('\n', text.length - 2) + 1))
  const [endLine = '', keyText = '', signature = ''] = end ?? []
  const key = bundleKeyFrom(keyText)
  const signed = text.slice(0, text.length - endLine.length)
  const sha256 = createHash('sha256').update(signed).digest('hex')
  const statement = statementOf('volumes', sha256)
  if (key === undefined || !isSignedBy(key, statement, Buffer.from(signature, 'base64')))
    throw new BundleFault('it is not as its key has signed it: it was cut or changed')
  const volumes: Volume[] = []
  for (const [, bytes, sum, name] of signed.matchAll(/^# (\d+) bytes\n([0-9a-f]{64}) {2}(.+)$/gm))
    volumes.push({ name: name ?? '', sizeBytes: Number(bytes), sha256: sum ?? '' })
  return { volumes, key }
}
