// Keys that a command is given: as words, or in files as `entrepot key show` writes them.
import { existsSync, readFileSync } from 'node:fs'
import {
  bundleKeyFrom,
  bundleKeyFromPem,
  type BundleKeyText,
  isBundleKeyId,
} from '../bundle/bundle-key.ts'
import { CliError, EXIT_CODES } from './context.ts'

/** @throws CliError usage for what is no key, and no file with one */
export function requiredKeys(option: string, texts: readonly string[]): readonly BundleKeyText[] {
  return texts.flatMap(text => keysOf(option, text))
}

function keysOf(option: string, text: string): readonly BundleKeyText[] {
  const key = bundleKeyFrom(text)
  if (key !== undefined) return [key]
  if (existsSync(text)) return keysIn(option, text)
  const why = isBundleKeyId(text)
    ? 'is the id of a key, for people to compare: give the key itself'
    : 'is no key, and no file with one: give it'
  const message = `${option}: ${text} ${why} as "entrepot key show" prints it`
  throw new CliError(EXIT_CODES.usage, message)
}

function keysIn(option: string, file: string): readonly BundleKeyText[] {
  const text = readFileSync(file, 'utf8')
  const pem = bundleKeyFromPem(text)
  if (pem !== undefined) return [pem]
  const keys = text.split(/\s+/).flatMap(word => bundleKeyFrom(word) ?? [])
  if (keys.length > 0) return keys
  throw new CliError(EXIT_CODES.usage, `${option}: there is no key in ${file}`)
}
