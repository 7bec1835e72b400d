// Goal: docs/security.md names tests that are there, and requirements that are theirs. Method: each
// `room/file` of the document is a file of test/, and each R number behind it, up to the next name
// or cell, stands in that file.
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'

const TESTS = new URL('../../', import.meta.url).pathname
const text = readFileSync(new URL('../../../docs/security.md', import.meta.url), 'utf8')
const NAMED = /`((?:unit|contract|property|protocol|fault|e2e)\/[a-z0-9/-]+)`((?: R\d+)*)/g

function sourceOf(name: string): string | undefined {
  const path = ['.test.ts', '.ts'].map(end => TESTS + name + end).find(existsSync)
  return path === undefined ? undefined : readFileSync(path, 'utf8')
}

t.test(
  'docs/security.md: each test is there, and proves the requirement named with it',
  async t => {
    const named = [...text.matchAll(NAMED)]
    t.ok(named.length > 100, `${named.length} are named`)
    for (const [, name = '', requirements = ''] of named) {
      const source = sourceOf(name)
      t.ok(source !== undefined, name)
      for (const requirement of requirements.split(' ').filter(Boolean))
        t.match(source, new RegExp(`\\b${requirement}\\b`), `${name} ${requirement}`)
    }
  },
)

t.test('docs/security.md: each CVE that a test names is in the table', async t => {
  for (const name of ['protocol/access/holes-of-peers', 'protocol/push/push-manifests'])
    for (const [cve] of sourceOf(name)?.matchAll(/CVE-\d+-\d+/g) ?? []) t.match(text, cve, cve)
})
