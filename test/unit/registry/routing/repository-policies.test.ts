// Goal: the first rule that matches a repository decides, and what nobody allowed is refused.
// Method: rules in, policies out; the rules come through the configuration where its patterns
// matter.
import t from 'tap'
import { parseRepositoryKey, parseTag } from '../../../../src/oci/reference.ts'
import {
  createPolicies,
  type RepositoryRule,
} from '../../../../src/registry/routing/repository-policies.ts'
import { configOf } from '../../../kit/load-text.ts'

const RULE = {
  push: 'store',
  sparse: false,
  deletable: undefined,
  onConflict: 'park',
  immutable: [] as readonly string[],
} as const

function policy(rules: readonly RepositoryRule[], key: string) {
  return createPolicies(rules).find(parseRepositoryKey(key))
}

t.test('without configuration pushes under localhost are kept, others refused', async t => {
  const rules = configOf(undefined).repositories
  t.match(policy(rules, 'localhost/team/app'), {
    push: 'store',
    sparse: false,
    deletable: true,
    onConflict: 'park',
  })
  t.match(policy(rules, 'docker.io/library/alpine'), { push: 'deny', deletable: false })
})

t.test('first match wins; no match is a refusal', async t => {
  const rules: readonly RepositoryRule[] = [
    { ...RULE, match: 'a.example/team/secret/**', push: 'deny' },
    { ...RULE, match: 'a.example/team/**', push: 'queue', onConflict: 'overwrite', sparse: true },
    { ...RULE, match: '*.example:5000/*', push: 'forward' },
  ]
  const push = (key: string) => policy(rules, key).push
  t.equal(push('a.example/team/secret/x'), 'deny')
  t.match(policy(rules, 'a.example/team/x/y'), {
    push: 'queue',
    onConflict: 'overwrite',
    sparse: true,
  })
  t.equal(push('b.example:5000/app'), 'forward')
  t.equal(push('b.example:5000/team/app'), 'deny', 'one star crosses no slash')
  t.equal(push('b.example/app'), 'deny')
})

t.test('a wide rule keeps what is pushed to localhost: it has no upstream', async t => {
  for (const mode of ['forward', 'queue', 'store'] as const) {
    t.equal(policy([{ ...RULE, match: '**', push: mode }], 'localhost/a').push, 'store', mode)
    t.equal(policy([{ ...RULE, match: '**', push: mode }], 'a.example/a').push, mode)
  }
  t.equal(policy([{ ...RULE, match: '**', push: 'deny' }], 'localhost/a').push, 'deny')
})

t.test('deletes follow the rule, else the registry', async t => {
  const deletable = (said: boolean | undefined, key: string) =>
    policy([{ ...RULE, match: '*', deletable: said }], key).deletable
  t.equal(deletable(undefined, 'localhost/a'), true)
  t.equal(deletable(undefined, 'a.example/a'), false)
  t.equal(deletable(false, 'localhost/a'), false)
  t.equal(deletable(true, 'a.example/a'), true)
})

t.test('R120: tags are immutable by the patterns of the first rule that matches', async t => {
  const rules: readonly RepositoryRule[] = [
    { ...RULE, match: 'localhost/team/**', immutable: ['v*', '!(latest|*-dev)'] },
    { ...RULE, match: 'localhost/**', immutable: ['v[0-9]*.[0-9]*'] },
  ]
  const immutable = (key: string, tag: string) => policy(rules, key).isImmutable(parseTag(tag))
  t.same(
    ['v1', 'version-dev', 'a.b', 'latest', '1-dev'].map(tag => immutable('localhost/team/a', tag)),
    [true, true, true, false, false],
  )
  t.same(
    ['v1.2', 'v12.0-rc1', 'v1', 'xv1.2'].map(tag => immutable('localhost/b', tag)),
    [true, true, false, false],
  )
  t.equal(immutable('docker.io/library/a', 'v1'), false)
})

t.test('an IPv6 host in brackets is matched as a host', async t => {
  const { repositories } = configOf(`upstreams: { docker.io: {}, "[fd00::1]:5000": {} }
repositories: [{ match: "[fd00::1]:5000/**", push: queue }]`)
  t.equal(policy(repositories, '[fd00::1]:5000/a/b').push, 'queue')
})

t.test('a thousand names more than are remembered are still answered right', async t => {
  const policies = createPolicies([{ ...RULE, match: 'a.example/*-odd', push: 'queue' }])
  for (let round = 0; round < 2; round += 1) {
    for (let at = 0; at < 5_200; at += 1) {
      const key = parseRepositoryKey(`a.example/x${at}-${at % 2 === 0 ? 'even' : 'odd'}`)
      const { push } = policies.find(key)
      if (push !== (at % 2 === 0 ? 'deny' : 'queue')) t.fail(key.name)
    }
  }
})
