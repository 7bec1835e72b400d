// What the property tests draw their values from, and how they run: with a seed that the
// environment may fix and a failure prints.
import fc from 'fast-check'
import type { Test } from 'tap'
import { type Digest, parseDigest } from '../../src/oci/digest.ts'

/**
 * Runs a property whose predicate throws when it does not hold; then so does this, with the seed
 * and the shrunk counterexample. Always the same values unless `PROPERTY_SEED` says otherwise: a
 * number, or `random` for new ones.
 */
export function assertProperty<Values>(
  t: Test,
  property: fc.IPropertyWithHooks<Values>,
  parameters: fc.Parameters<Values> = {},
): void {
  fc.assert(property, { ...seeding(), ...parameters })
  t.pass('no counterexample was found')
}

/** Parameters for fc.assert, where assertProperty does not fit. */
export function seeding(): { seed?: number } {
  const seed = process.env['PROPERTY_SEED'] ?? '1'
  return seed === 'random' ? {} : { seed: Number(seed) }
}

/** Those of the routes, which a repository may use as well (R24), and plain ones. */
const components = fc.oneof(
  fc.constantFrom('manifests', 'blobs', 'tags', 'list', 'uploads', 'referrers', 'v2', 'ext'),
  fc.stringMatching(/^[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,4}){0,2}$/),
)

/** Repository names by the grammar, at most 255 characters. */
export const names = fc
  .array(components, { minLength: 1, maxLength: 5 })
  .map(parts => parts.join('/'))

/** Names, some of them after a registry host and port. */
export const namePaths = fc
  .tuple(
    fc.constantFrom('', '', 'docker.io/', '10.0.0.1:5000/', 'localhost:1/', '[::1]:5000/'),
    names,
  )
  .map(parts => parts.join(''))

export const tags = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/)

const hex = (length: number) => {
  return fc
    .array(fc.integer({ min: 0, max: 15 }), { minLength: length, maxLength: length })
    .map(digits => digits.map(digit => digit.toString(16)).join(''))
}

export const digests: fc.Arbitrary<Digest> = fc
  .oneof(
    hex(64).map(text => `sha256:${text}`),
    hex(128).map(text => `sha512:${text}`),
  )
  .map(parseDigest)
