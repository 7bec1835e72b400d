// Goal: the first rule that is about who asks, where and what decides, whatever was asked before;
// after the last nothing is allowed. Method: examples, and random rules and questions held against
// a walk along the list that remembers nothing; the seed is printed.
import picomatch from 'picomatch'
import t from 'tap'
import type { Action, MovedTags } from '../../../src/access/access.ts'
import { createIsIn, readPeer } from '../../../src/access/network.ts'
import { type AccessRule, RIGHTS } from '../../../src/access/rule.ts'
import { type Asker, ELSEWHERE, type Question, Rulebook } from '../../../src/access/rulebook.ts'
import {
  parseRepositoryKey,
  parseTag,
  type RepositoryKey,
  repositoryKey,
} from '../../../src/oci/reference.ts'
import { loadText } from '../../kit/load-text.ts'
import { createRandom, seedOf } from '../../kit/seeded.ts'

const keyOf = (text: string) => repositoryKey(parseRepositoryKey(text))
const from = (
  address: Asker['address'],
  isLocal: boolean | undefined = false,
  account?: string,
): Asker => ({
  address,
  account: account === undefined ? undefined : { name: account },
  isLocal: () => isLocal,
})
const GROUPS = { ci: ['bob', 'carol'], all: ['alice', 'bob'], none: [] }

/** Of rules as people write them. */
function bookOf(rules: string): Rulebook {
  return new Rulebook(rulesOf(rules), GROUPS)
}

function judge(book: Rulebook, asker: Asker, question: Question) {
  return book.partyOf(asker)?.judge(question)
}

t.test(
  'R407: the first rule that matches decides, for and against; after the last: deny',
  async t => {
    const book = bookOf(`
  - { who: "*", match: "localhost/secret/**", allow: [] }
  - { who: "net:10.0.0.0/8", match: "localhost/**", allow: [pull, push] }
  - { who: "net:10.1.0.0/16", match: "docker.io/**", allow: [pull] }
  - { who: "*", match: "docker.io/library/*", allow: [pull, list] }
`)
    const asked = (address: string, name: string, action: Action) =>
      judge(book, from(address), { key: keyOf(name), action })
    const yes = (rule: number) => ({ isAllowed: true, rule })
    const no = (rule: number | undefined) => ({ isAllowed: false, rule })
    t.same(asked('10.0.0.1', 'localhost/secret/a', 'pull'), no(0))
    t.same(asked('10.0.0.1', 'localhost/a', 'push'), yes(1))
    t.same(asked('10.0.0.1', 'localhost/a', 'delete'), no(1))
    t.same(asked('192.0.2.1', 'localhost/a', 'pull'), no(undefined))
    t.same(asked('10.1.0.1', 'docker.io/team/app', 'pull'), yes(2))
    t.same(
      asked('10.1.0.1', 'docker.io/library/alpine', 'list'),
      no(2),
      'the first, not the kindest',
    )
    t.same(asked('10.0.0.1', 'docker.io/library/alpine', 'list'), yes(3))
    t.same(asked('10.0.0.1', 'docker.io/library/deep/er', 'pull'), no(undefined))
    t.same(asked('10.0.0.1', 'quay.io/a/b', 'pull'), no(undefined))
    t.same(
      judge(book, from(ELSEWHERE), { key: keyOf('docker.io/library/a'), action: 'pull' }),
      yes(3),
    )
  },
)

t.test('R407: a rule with tags is about pushes and deletes of these tags alone', async t => {
  const book = bookOf(`
  - { who: "net:10.0.0.0/8", match: "localhost/**", tags: ["v*"], allow: [push, delete] }
  - { who: "net:10.0.0.1", match: "localhost/**", tags: ["latest"], allow: [push] }
  - { who: "net:10.0.0.1", match: "localhost/**", allow: [pull] }
`)
  const asked = (action: Action, moves?: MovedTags, address = '10.0.0.1') =>
    judge(book, from(address), { key: keyOf('localhost/a'), action, moves })?.isAllowed
  const tags = (...names: string[]) => names.map(parseTag)
  t.ok(asked('push', tags('v1')))
  t.ok(asked('push', tags('latest')))
  t.ok(asked('push', tags('v1', 'latest')), 'each by its own rule')
  t.notOk(asked('push', tags('v1', 'latest'), '10.0.0.2'))
  t.notOk(asked('push', tags('edge')))
  t.notOk(asked('push', tags('v1', 'edge')))
  t.ok(asked('push'), 'blobs move no tag')
  t.ok(asked('push', []), 'nor does a manifest by its digest')
  t.ok(asked('delete', tags('v1')))
  t.notOk(asked('delete', tags('edge')))
  t.notOk(asked('delete', 'any'), 'a digest may have other tags')
  t.ok(asked('pull'))
})

t.test('R407: pulls, lists and uploads are not decided by what a rule says of tags', async t => {
  const asked = (rules: string, action: Action) =>
    judge(bookOf(rules), from('10.0.0.1'), { key: keyOf('localhost/a'), action })
  const closed = `
  - { who: "*", match: "localhost/**", tags: ["v*"], allow: [] }
  - { who: "*", match: "localhost/**", allow: [pull, push, list] }
`
  for (const action of ['pull', 'list', 'push'] as const)
    t.same(asked(closed, action), { isAllowed: true, rule: 1 }, action)
  const open = `
  - { who: "*", match: "localhost/**", tags: ["v*"], allow: [pull, push, list] }
  - { who: "*", match: "localhost/**", allow: [] }
  - { who: "*", match: "localhost/**", tags: ["edge"], allow: [delete] }
`
  for (const action of ['pull', 'list'] as const)
    t.same(asked(open, action), { isAllowed: false, rule: 1 }, action)
  t.same(asked(open, 'push'), { isAllowed: true, rule: 0 }, 'what v1 is made of')
  t.notOk(bookOf(open).isPublic(keyOf('localhost/a')))
  t.ok(bookOf(closed).isPublic(keyOf('localhost/a')))
  t.notOk(bookOf(open).partyOf(from('10.0.0.1'))?.mayListAnywhere())
})

t.test('R407: what keeps tags from being deleted keeps digests, too', async t => {
  const deleteIn = (rules: string) =>
    judge(bookOf(rules), from('10.0.0.1'), {
      key: keyOf('localhost/a'),
      action: 'delete',
      moves: 'any',
    })
  const kept = '- { who: "*", match: "localhost/**", tags: ["v*"], allow: [push] }'
  const loose = '- { who: "*", match: "localhost/**", tags: ["edge"], allow: [delete] }'
  const all = '- { who: "*", match: "**", allow: [push, delete] }'
  t.same(deleteIn(`\n  ${loose}\n  ${kept}\n  ${all}`), { isAllowed: false, rule: 1 })
  t.same(deleteIn(`\n  ${all}\n  ${kept}`), { isAllowed: true, rule: 0 })
  t.same(deleteIn(`\n  ${loose}\n  ${all}`), { isAllowed: true, rule: 1 })
  const elsewhere = '- { who: "*", match: "docker.io/**", tags: ["v*"], allow: [] }'
  t.same(deleteIn(`\n  ${elsewhere}\n  ${all}`), { isAllowed: true, rule: 1 })
})

t.test('R407: where networks are named, a asker from nowhere may do nothing', async t => {
  const rules = `
  - { who: "net:10.0.0.0/8", match: "localhost/**", allow: [] }
  - { who: local, match: "**", allow: [pull, push] }
  - { who: "*", match: "**", allow: [pull, push, list] }
`
  const pulls = (address: Asker['address'], isLocal = false, book = bookOf(rules)) =>
    judge(book, from(address, isLocal), { key: keyOf('localhost/a'), action: 'pull' })
  const nothing = { isAllowed: false, rule: undefined }
  for (const address of [undefined, '', 'unknown', '%eth0'])
    for (const isLocal of [false, true])
      t.same(pulls(address, isLocal), nothing, `${address} ${isLocal}`)
  t.ok(pulls('192.0.2.1')?.isAllowed)
  t.ok(pulls('fe80::1%br-lan')?.isAllowed)
  t.ok(pulls(ELSEWHERE)?.isAllowed)
  const open = bookOf('\n  - { who: "*", match: "**", allow: [pull] }')
  t.ok(pulls(undefined, false, open)?.isAllowed, 'no network is named')
})

t.test('a name that leads nowhere is decided by what is about all', async t => {
  const book = bookOf(`
  - { who: "net:10.0.0.0/8", match: "**", allow: [pull] }
  - { who: "*", match: "localhost/**", allow: [pull] }
`)
  const asked = (address: string) => judge(book, from(address), { key: undefined, action: 'pull' })
  t.ok(asked('10.0.0.1')?.isAllowed)
  t.notOk(asked('192.0.2.1')?.isAllowed)
})

t.test('R11: public is what everybody may pull from everywhere', async t => {
  const book = bookOf(`
  - { who: "net:10.0.0.0/8", match: "localhost/**", allow: [pull] }
  - { who: local, match: "docker.io/closed/**", allow: [] }
  - { who: "*", match: "docker.io/**", allow: [pull] }
  - { who: anonymous, match: "quay.io/**", allow: [pull] }
`)
  for (const [name, isPublic] of [
    ['localhost/a', false],
    ['docker.io/a/b', true],
    ['docker.io/closed/b', false],
    ['quay.io/a/b', true],
  ] as const)
    for (const time of [1, 2]) t.equal(book.isPublic(keyOf(name)), isPublic, `${name} ${time}`)
})

t.test('many networks, many addresses: each repository is looked at once', async t => {
  const NETWORKS = 300
  const REPOSITORIES = 20
  const rules = Array.from(
    { length: NETWORKS },
    (_, at) =>
      `\n  - { who: "net:10.${at >> 8}.${at & 255}.0/24", match: "localhost/*/x", allow: [pull] }`,
  )
  const book = bookOf(rules.join(''))
  const asker = (at: number, last: number) => from(`10.${at >> 8}.${at & 255}.${last}`)
  const names = Array.from({ length: REPOSITORIES }, (_, at) => keyOf(`localhost/r${at}/x`))
  const { exec } = RegExp.prototype
  let matched = 0
  RegExp.prototype.exec = function (text) {
    if (text.startsWith('localhost/')) matched += 1
    return exec.call(this, text)
  }
  t.teardown(() => (RegExp.prototype.exec = exec))
  for (const round of [1, 2])
    for (let at = 0; at < NETWORKS; at += 1)
      for (const key of names)
        if (judge(book, asker(at, round), { key, action: 'pull' })?.rule !== at) t.fail(`${at}`)
  RegExp.prototype.exec = exec
  t.comment(`${matched} patterns were matched`)
  t.ok(matched > 0 && matched <= NETWORKS * REPOSITORIES)
})

/** How often a name is compared with a rule meanwhile. */
function looksDuring(key: RepositoryKey, work: () => void): number {
  const { startsWith } = String.prototype
  let looks = 0
  String.prototype.startsWith = function (...given) {
    if (String(this) === key) looks += 1
    return startsWith.apply(this, given)
  }
  try {
    work()
  } finally {
    String.prototype.startsWith = startsWith
  }
  return looks
}

t.test('R625: a refusal costs the same whether or not others pull it', async t => {
  const others = Array.from(
    { length: 50 },
    (_, at) => `  - { who: "net:10.0.${at}.0/24", match: "localhost/*/x", allow: [pull] }`,
  )
  const book = bookOf(`
${others.join('\n')}
  - { who: "*", match: "localhost/open/**", allow: [pull] }
  - { who: "*", match: "localhost/shown/**", allow: [pull] }
`)
  const [pulled, absent] = [keyOf('localhost/a/x'), keyOf('localhost/b/x')]
  t.equal(judge(book, from('10.0.7.1'), { key: pulled, action: 'pull' })?.isAllowed, true)
  t.ok(book.isPublic(keyOf('localhost/open/a')))
  for (const asker of [from('192.0.2.1'), from('192.0.2.2')]) {
    // From memory first, then on the way to the refusal.
    const ask = (key: RepositoryKey, times: number) =>
      looksDuring(key, () => {
        for (let time = 0; time < times; time += 1)
          t.equal(judge(book, asker, { key, action: 'pull' })?.isAllowed, false)
      })
    const looks = [ask(pulled, 2), ask(absent, 1), ask(pulled, 1), ask(absent, 2)]
    t.same(looks, [2, 2, 2, 2], 'its own rules alone, and each time')
  }
  const shown = keyOf('localhost/shown/a')
  const ask = () => void judge(book, from('192.0.2.1'), { key: shown, action: 'pull' })
  t.ok(looksDuring(shown, ask) > 0)
  judge(book, from('192.0.2.1'), { key: absent, action: 'pull' })
  t.equal(looksDuring(shown, ask), 0, 'what it may pull is remembered')
})

t.test('R407: a party is of one address', async t => {
  const book = bookOf(`
  - { who: "net:10.0.0.0/8", match: "localhost/**", allow: [pull] }
  - { who: "*", match: "docker.io/**", allow: [pull] }
`)
  t.notOk(book.isAboutLocals)
  t.equal(book.partyOf(from('10.0.0.1')), book.partyOf(from('10.0.0.1')))
  for (let last = 0; last < 9_000; last += 1) {
    const key = keyOf('localhost/a')
    const asked = book.partyOf(from(`10.0.${last >> 8}.${last & 255}`))
    if (asked?.judge({ key, action: 'pull' }).isAllowed !== true) t.fail(`${last}`)
  }
  const elsewhere = book.partyOf(from(ELSEWHERE, undefined))
  t.notOk(elsewhere?.judge({ key: keyOf('localhost/a'), action: 'pull' }).isAllowed)
})

/** The same, of a list that is walked along each time. */
function walk(rules: readonly AccessRule[], asker: Asker, question: Question): boolean {
  const { key = '', action, moves = [] } = question
  const { address = '' } = asker
  const isFrom = ({ who }: AccessRule) => {
    const account = asker.account?.name
    switch (who.kind) {
      case 'everybody':
        return true
      case 'anonymous':
        return account === undefined
      case 'account':
        return account === who.name
      case 'group':
        return (
          account !== undefined && GROUPS[who.name as keyof typeof GROUPS].some(isName(account))
        )
      case 'robot':
      case 'identity':
      case 'provider group':
      case 'certificate':
        return false
      case 'network':
        return address !== ELSEWHERE && createIsIn(who.network)(address)
      case 'local':
        return asker.isLocal() === true
    }
  }
  const isThere = ({ match }: AccessRule) =>
    match === '**' || picomatch.isMatch(key, match, { dot: true })
  if (
    address !== ELSEWHERE &&
    readPeer(address) === undefined &&
    rules.some(({ who }) => who.kind === 'network')
  )
    return false
  const reads = action === 'pull' || action === 'list'
  const isAllowed = (tag: string | undefined) => {
    for (const rule of rules) {
      if (!isFrom(rule) || !isThere(rule)) continue
      const allows = rule.allow.includes(action)
      if (rule.tags.length === 0) return allows
      if (reads) continue
      if (tag !== undefined && picomatch.isMatch(tag, [...rule.tags])) return allows
      // Of any tag, and of none: this one could be about it.
      const isUpload = tag === undefined && moves !== 'any' && action === 'push'
      if (tag === undefined && allows === isUpload) return allows
    }
    return false
  }
  if (reads || moves === 'any' || moves.length === 0) return isAllowed(undefined)
  return moves.every(isAllowed)
}

t.test('R645: where no rule names a network all addresses are one party', async t => {
  const book = bookOf(`
  - { who: "group:ci", match: "localhost/**", allow: [pull] }
  - { who: local, match: "docker.io/**", allow: [pull] }
`)
  const [bob, carol] = ['bob', 'carol'].map((name, at) =>
    book.partyOf(from(`10.0.0.${at}`, false, name)),
  )
  t.equal(bob, carol)
  t.not(bob, book.partyOf(from('10.0.0.0', false)))
  t.not(bob, book.partyOf(from('10.0.0.0', true, 'bob')), 'but for programs of the machine')
})

t.test('R511: rules about accounts do not divide callers whom none is about', async t => {
  const book = bookOf(`
  - { who: alice, match: "**", allow: [pull] }
  - { who: "group:ci", match: "**", allow: [push] }
`)
  const of = (account: string) => book.partyOf(from(ELSEWHERE, false, account))
  t.equal(of('bob'), of('carol'), 'both are in one group')
  t.equal(of('dave'), of('erin'))
  t.not(of('alice'), of('dave'))
  t.not(of('dave'), book.partyOf(from(ELSEWHERE)), 'who has not logged in is anonymous')
})

t.test('whoever shows a certificate is not anonymous, whether rules name it or not', async t => {
  const book = bookOf(`
  - { who: anonymous, match: "docker.io/**", allow: [pull] }
  - { who: "cert:known", match: "localhost/**", allow: [pull] }
`)
  const asked = (certificate: readonly string[]) =>
    judge(book, { ...from(ELSEWHERE), certificate }, { key: keyOf('docker.io/a'), action: 'pull' })
  t.same(asked([]), { isAllowed: true, rule: 0 })
  t.same(asked(['known']), { isAllowed: false, rule: undefined })
  t.same(asked(['other']), { isAllowed: false, rule: undefined })
})

t.test('a group is what the configuration says, whatever it is called', async t => {
  const book = bookOf(`
  - { who: "group:constructor", match: "**", allow: [pull] }
`)
  const asked = { key: keyOf('localhost/a'), action: 'pull' } as const
  t.same(judge(book, from(ELSEWHERE, false, 'bob'), asked), { isAllowed: false, rule: undefined })
})

t.test('a catalog shows what may be pulled and listed, and nothing by one of both', async t => {
  const party = bookOf(`
  - { who: "*", match: "localhost/listed", allow: [list] }
  - { who: "*", match: "localhost/pulled", allow: [pull] }
  - { who: "*", match: "localhost/both", allow: [list, pull] }
`).partyOf(from(ELSEWHERE))
  for (const [name, isShown] of [
    ['localhost/listed', false],
    ['localhost/pulled', false],
    ['localhost/both', true],
  ] as const)
    t.equal(party?.isShown(keyOf(name)), isShown, name)
})

t.test('R511: what the anonymous may pull from everywhere is public', async t => {
  const isPublic = (rules: string) => bookOf(rules).isPublic(keyOf('localhost/a'))
  const open = '- { who: anonymous, match: "localhost/**", allow: [pull] }'
  t.equal(isPublic(`\n  ${open}`), true)
  t.equal(isPublic(`\n  - { who: alice, match: "**", allow: [pull, push] }\n  ${open}`), true)
  t.equal(isPublic(`\n  - { who: local, match: "**", allow: [push] }\n  ${open}`), false)
  t.equal(isPublic('\n  - { who: alice, match: "**", allow: [pull] }'), false)
})

t.test('R407: whatever was asked before, it is as if the list were walked along', async t => {
  const seed = seedOf(process.env)
  t.comment(`SEED=${seed}`)
  const random = createRandom(seed)
  const networks = [
    '10.0.0.0/8',
    '10.1.0.0/16',
    '10.1.1.0/24',
    '192.0.2.7',
    '2001:db8::/32',
  ] as const
  const addresses = [
    '10.0.0.1',
    '10.1.0.1',
    '10.1.1.1',
    '192.0.2.7',
    '2001:db8::7',
    '::1',
    undefined,
    '',
  ] as const
  const globs = [
    '**',
    'localhost/**',
    'localhost/a/*',
    'docker.io/**',
    '*/a/b',
    'localhost/!(b)',
  ] as const
  const names = [
    'localhost/a',
    'localhost/b',
    'localhost/a/b',
    'docker.io/a/b',
    'quay.io/c/d',
  ] as const
  const tagGlobs = ['v*', 'latest', '!(latest)'] as const
  const tagNames = ['v1', 'latest', 'edge'] as const
  const whoOf = () =>
    random.pick([
      '*',
      'anonymous',
      'local',
      'alice',
      'bob',
      'group:ci',
      'group:all',
      'group:none',
      `net:${random.pick(networks)}`,
      `net:${random.pick(networks)}`,
    ])
  const accounts = [undefined, undefined, 'alice', 'bob', 'carol', 'dave'] as const
  let allowed = 0
  const rounds = 60
  for (let round = 0; round < rounds; round += 1) {
    const written = Array.from({ length: random.between(1, 8) }, () => ({
      who: whoOf(),
      match: random.pick(globs),
      tags: random.oneIn(4) ? [random.pick(tagGlobs)] : [],
      allow: RIGHTS.filter(() => random.oneIn(2)),
    }))
    const rules = rulesOf(JSON.stringify(written))
    const book = new Rulebook(rules, GROUPS)
    for (let count = 0; count < 200; count += 1) {
      const isLocal = random.oneIn(3)
      const account = random.pick<string | undefined>(accounts)
      const asker = from(isLocal ? '127.0.0.1' : random.pick(addresses), isLocal, account)
      const action = random.pick(RIGHTS as unknown as [Action, ...Action[]])
      const one = parseTag(random.pick(tagNames))
      const moves = random.pick<MovedTags>([undefined, [], [one], [one, parseTag('v2')], 'any'])
      const question = { key: keyOf(random.pick(names)), action, moves }
      const said = judge(book, asker, question)?.isAllowed
      const expected = walk(rules, asker, question)
      allowed += Number(expected)
      if (said !== expected) {
        t.fail(`${JSON.stringify({ written, ...asker, isLocal, question })}: ${said}`)
        return
      }
    }
  }
  t.comment(`${rounds * 200} questions, ${allowed} allowed`)
  t.ok(allowed > 500)
})

function isName(wanted: string): (name: string) => boolean {
  return name => name === wanted
}

/** With whatever warnings they deserve. */
function rulesOf(written: string): readonly AccessRule[] {
  const auth = `auth: { htpasswd: { path: ht }, groups: ${JSON.stringify(GROUPS)} }`
  const text = `upstreams: { docker.io: {}, quay.io: {} }\n${auth}\naccess: ${written}`
  const result = loadText(text, { files: { ht: '' } })
  if (result.kind === 'invalid') throw new Error(JSON.stringify(result.findings))
  return result.config.access
}
