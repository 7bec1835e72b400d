// Goal: until rules exist, everybody may read, without credentials. Method: the one function, asked for each kind of resource.
import t from 'tap'
import { ANONYMOUS, createOpenAccess } from '../../../src/access/access.ts'
import { parseRepositoryKey } from '../../../src/oci/reference.ts'

t.test('open access allows every pull and list, anonymously', async t => {
  const access = createOpenAccess()
  const allowed = { kind: 'allowed', anonymously: true }
  const repository = parseRepositoryKey('docker.io/library/alpine')
  t.same(access.decide({ principal: ANONYMOUS, resource: repository, action: 'pull' }), allowed)
  t.same(access.decide({ principal: ANONYMOUS, resource: 'catalog', action: 'list' }), allowed)
  t.same(access.decide({ principal: ANONYMOUS, resource: 'unrouted', action: 'pull' }), allowed)
})
