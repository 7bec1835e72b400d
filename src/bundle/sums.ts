// The sums of the volumes that a bundle was cut into: as `sha256sum -c` reads them, and signed, in
// lines that it takes for comments. With them each volume can be verified alone.
import { createHash } from 'node:crypto'
import type { BundleKeyText } from './bundle-key.ts'

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
