// Goal: a token of somebody else's token server is good for what it names, and for nothing that
// another registry has by the same name. Method: examples.
import t from 'tap'
import { isGranted } from '../../../src/access/grants.ts'
import type { Right } from '../../../src/access/rule.ts'
import { parseRepositoryKey, type RegistryHost } from '../../../src/oci/reference.ts'

const SERVER = {
  realm: 'https://auth.example/token',
  service: 'edge',
  defaultHost: 'docker.io' as RegistryHost,
}

/** May whoever has a grant of `actions` for `name` do `action` in the repository? */
function mayBy(name: string, actions: readonly string[], server = SERVER) {
  const grants = [{ type: 'repository', name, actions }]
  return (repository: string, action: Right & ('pull' | 'push' | 'delete')) =>
    isGranted(
      { kind: 'account', name: 'alice', grants },
      { resource: parseRepositoryKey(repository), action },
      server,
    )
}

t.test(
  'a name without a registry is of the default one, and of localhost without a slash',
  async t => {
    const may = mayBy('team/app', ['pull', 'push'])
    t.ok(may('docker.io/team/app', 'pull'))
    t.notOk(may('localhost/team/app', 'pull'), 'another registry has it by the same name')
    t.notOk(may('localhost/team/app', 'push'))
    t.notOk(may('quay.io/team/app', 'pull'))
    t.ok(mayBy('app', ['pull'])('localhost/app', 'pull'))
    t.ok(mayBy('localhost/team/app', ['pull'])('localhost/team/app', 'pull'))
  },
)

t.test('R812: a grant for a name of one component is for one repository', async t => {
  const server = { ...SERVER, defaultHost: 'registry.corp' as RegistryHost }
  const may = mayBy('app', ['pull', 'push'], server)
  t.ok(may('localhost/app', 'push'))
  t.notOk(may('registry.corp/app', 'pull'), 'it is asked for with its registry')
  t.ok(mayBy('registry.corp/app', ['pull'], server)('registry.corp/app', 'pull'))
  t.ok(mayBy('team/app', ['pull'], server)('registry.corp/team/app', 'pull'))
})

t.test('who pushes reads as well: a grant of push alone lets nobody push', async t => {
  t.notOk(mayBy('app', ['push'])('localhost/app', 'push'))
  t.notOk(mayBy('app', ['pull'])('localhost/app', 'push'))
  t.ok(mayBy('app', ['pull', 'push'])('localhost/app', 'push'))
  t.ok(mayBy('app', ['*'])('localhost/app', 'delete'))
  t.notOk(mayBy('app', ['pull', 'push'])('localhost/app', 'delete'))
})

t.test('who lists repositories has been granted all of the catalog', async t => {
  const mayList = (name: string, ...actions: readonly string[]) =>
    isGranted(
      { kind: 'account', name: 'alice', grants: [{ type: 'registry', name, actions }] },
      { resource: 'catalog', action: 'list' },
      SERVER,
    )
  t.ok(mayList('catalog', '*'))
  t.notOk(mayList('catalog', 'pull'))
  t.notOk(mayList('catalog'))
  t.notOk(mayList('catalogue', '*'))
})
