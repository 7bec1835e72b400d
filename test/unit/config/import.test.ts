// Goal: whose bundles are taken arrives as it was written, and what is no key is told by its line
// with what to write. Method: texts, loaded as a file.
import t from 'tap'
import { bundleKeyPem, bundleKeyId } from '../../../src/bundle/bundle-key.ts'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { makeSigner } from '../../kit/bundle.ts'
import { complaints, configOf } from '../../kit/load-text.ts'

const { key } = makeSigner()

t.test('R898: keys arrive, and a reload changes them', async t => {
  const config = configOf(`import: { trustedkeys: ["${key}"] }`)
  t.same(config.import, { trustedKeys: [key] })
  t.same(configOf(undefined).import, { trustedKeys: [] })
  t.match(compareConfigs(configOf(undefined), config), {
    changed: ['import.trustedkeys'],
    needsRestart: [],
  })
})

t.test('R898: what is no key is told by its line', async t => {
  const pem = JSON.stringify(bundleKeyPem(key))
  const told = complaints(
    `import:\n  trustedkeys:\n    - ${bundleKeyId(key)}\n    - ${pem}\n    - ed25519:abc`,
  )
  t.match(told, [
    /3.*trustedkeys\[0\].*is the id of a key.*key show/,
    /4.*trustedkeys\[1\].*one line.*ed25519:/,
    /5.*trustedkeys\[2\].*must be a key/,
  ])
  t.ok(told[1]?.includes(key))
})
