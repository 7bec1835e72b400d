// Goal: a list that goes on where it is told to behind what is hidden shows all that may be shown,
// and reads little of the rest. Method: random rules over all names of a few components, walked
// along with and without skipping; the seed is printed.
import t from 'tap'
import type { AccessRule } from '../../../src/access/rule.ts'
import { type Party, Rulebook } from '../../../src/access/rulebook.ts'
import type { RepositoryKey } from '../../../src/oci/reference.ts'
import { createRandom, seedOf } from '../../kit/seeded.ts'

const PARTS = ['a', 'a-b', 'a.b', 'ab', 'b', 'b0', 'team'] as const
const HOSTS = ['docker.io', 'localhost', 'quay.io'] as const
const KEYS = HOSTS.flatMap(host =>
  PARTS.flatMap(one => [
    `${host}/${one}`,
    ...PARTS.flatMap(two => [`${host}/${one}/${two}`, `${host}/${one}/${two}/b`]),
  ]),
).toSorted() as RepositoryKey[]

function partyOf(rules: readonly AccessRule[]): Party {
  const party = new Rulebook(rules).partyOf({ address: undefined, isLocal: () => false })
  if (party === undefined) throw new Error('everybody is somebody')
  return party
}

const isShown = (party: Party, key: RepositoryKey) =>
  (['pull', 'list'] as const).every(action => party.judge({ key, action }).isAllowed)

/** As a list reads it, row by row. */
function walk(party: Party): { shown: RepositoryKey[]; hidden: number } {
  const shown: RepositoryKey[] = []
  let hidden = 0
  let after: string | undefined = ''
  while (after !== undefined) {
    const behind: string = after
    const key = KEYS.find(each => each > behind)
    if (key === undefined) break
    after = key
    if (isShown(party, key)) shown.push(key)
    else {
      hidden += 1
      after = party.nextShown(key)
      if (after !== undefined && after < key) throw new Error(`${after} is before ${key}`)
    }
  }
  return { shown, hidden }
}

const rule = (match: string, allow: AccessRule['allow'] = ['pull', 'list']): AccessRule => ({
  who: { kind: 'everybody' },
  match,
  tags: [],
  allow,
})

t.test('what is hidden beside each other is read once', async t => {
  for (const [rules, hiddenMost] of [
    [[rule('localhost/team/**')], 3],
    [[rule('localhost/team/a'), rule('quay.io/b')], 4],
    [[rule('localhost/a/**', []), rule('**')], 3],
    [[rule('localhost/a/b'), rule('localhost/**', []), rule('**')], 5],
    [[rule('docker.io/te*/**')], 3],
    [[], 1],
  ] as const) {
    const party = partyOf(rules)
    const { shown, hidden } = walk(partyOf(rules))
    t.same(
      shown,
      KEYS.filter(key => isShown(party, key)),
    )
    t.ok(hidden <= hiddenMost, `${hidden} of ${KEYS.length} for ${rules.map(r => r.match).join()}`)
  }
})

t.test('R71: nothing is passed by that is shown', async t => {
  const seed = seedOf(process.env)
  t.comment(`SEED=${seed}`)
  const random = createRandom(seed)
  const part = () => random.pick(PARTS)
  const patterns = (): string =>
    random.pick([
      '**',
      `${random.pick(HOSTS)}/**`,
      `${random.pick(HOSTS)}/${part()}`,
      `${random.pick(HOSTS)}/${part()}/**`,
      `${random.pick(HOSTS)}/${part()}/${part()}`,
      `${random.pick(HOSTS)}/${part()}/${part()}/**`,
      `${random.pick(HOSTS)}/*`,
      `${random.pick(HOSTS)}/${part()}*/**`,
      `${random.pick(HOSTS)}/!(${part()})`,
      `${random.pick(HOSTS)}/{${part()},${part()}}/*`,
      `*/${part()}/**`,
      `${random.pick(HOSTS)}/**/b`,
    ])
  let [read, hiddenInAll] = [0, 0]
  for (let round = 0; round < 2_000; round += 1) {
    const rules = Array.from({ length: random.between(1, 6) }, () =>
      rule(patterns(), random.oneIn(2) ? [] : random.oneIn(4) ? ['pull'] : ['pull', 'list']),
    )
    const party = partyOf(rules)
    const expected = KEYS.filter(key => isShown(party, key))
    const { shown, hidden } = walk(partyOf(rules))
    read += hidden
    hiddenInAll += KEYS.length - expected.length
    if (shown.join() !== expected.join()) {
      t.same(shown, expected, JSON.stringify(rules.map(({ match, allow }) => [match, allow])))
      return
    }
  }
  t.comment(`${read} of ${hiddenInAll} hidden ones were read`)
  t.ok(read < hiddenInAll / 2)
})
