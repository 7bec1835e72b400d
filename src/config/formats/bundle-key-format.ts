// The key of an edge, as `entrepot key show` prints it; what people may have of it instead, and
// what to write then.
import {
  bundleKeyFrom,
  bundleKeyFromPem,
  type BundleKeyText,
  isBundleKeyId,
} from '../../bundle/bundle-key.ts'
import type { Format } from './formats.ts'
import type { Parsed } from './units.ts'

function parse(text: string): Parsed<BundleKeyText> {
  const key = bundleKeyFrom(text)
  if (key !== undefined) return { kind: 'ok', value: key }
  const pem = bundleKeyFromPem(text)
  if (pem !== undefined)
    return { kind: 'fault', message: 'a key stands here in one line', suggestion: pem }
  if (isBundleKeyId(text))
    return {
      kind: 'fault',
      message: `${text} is the id of a key, for people to compare; the key itself stands above it in "entrepot key show"`,
    }
  const message =
    'must be a key, ed25519: and 44 characters, as "entrepot key show" prints it at the edge that signs'
  return { kind: 'fault', message }
}

export const BUNDLE_KEY: Format<BundleKeyText> = {
  name: 'key',
  json: {
    type: 'string',
    pattern: '^ed25519:[A-Za-z0-9+/]{43}=$',
    examples: ['ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='],
  },
  parse: ({ text }) => parse(text),
  format: key => key,
}
