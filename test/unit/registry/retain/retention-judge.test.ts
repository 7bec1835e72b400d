// Goal: retention says why, in words, and counts versions as semver.org does. Method: tags with
// times in, verdicts out; that the right ones stay is compared with a model in
// test/property/retention-model.test.ts.
import t from 'tap'
import { parseRepositoryKey, parseTag } from '../../../../src/oci/reference.ts'
import { Pieces } from '../../../../src/registry/pacing/pieces.ts'
import { judgeTags, type TagToJudge } from '../../../../src/registry/retain/judge-tags.ts'
import {
  type KeepLine,
  policyFor,
  type RetentionPolicy,
} from '../../../../src/registry/retain/rules.ts'
import { compareVersions, versionOf } from '../../../../src/registry/retain/semver.ts'
import { TimeRun } from '../../../../src/registry/time/time-run.ts'
import { subjectOfTag } from '../../../../src/registry/retain/signature-tag.ts'
import { inOrder } from '../../../../src/registry/retain/in-order.ts'
import { judge } from '../../../../src/registry/retain/judge.ts'
import { turnsDuring } from '../../../kit/threads/turns-during.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { ANY_TAG } from '../../../kit/keep-line.ts'

const DAY_MS = 86_400_000
const NOW_MS = 1_000 * DAY_MS
const ALWAYS = new TimeRun(0, [])
const digest = digestOf(Buffer.from('image'))

const tagOf = (tag: string, pushedDaysAgo: number, pulledDaysAgo?: number): TagToJudge => ({
  tag: parseTag(tag),
  digest,
  pushedAtMs: NOW_MS - pushedDaysAgo * DAY_MS,
  pulledAtMs: pulledDaysAgo === undefined ? undefined : NOW_MS - pulledDaysAgo * DAY_MS,
  held: undefined,
})

const line = (conditions: Partial<KeepLine>): KeepLine => ({
  ...ANY_TAG,
  ...conditions,
})

async function told(
  lines: readonly KeepLine[],
  tags: readonly TagToJudge[],
): Promise<Record<string, string>> {
  const verdicts = await judgeTags({ keepTags: lines, place: 0 }, tags, {
    nowMs: NOW_MS,
    timeRun: ALWAYS,
    pieces: new Pieces(),
  })
  return Object.fromEntries(
    [...verdicts].map(([tag, { kind, reason }]) => [tag, `${kind}: ${reason}`]),
  )
}

t.test('each verdict says which condition of which line made it', async t => {
  const lines = [
    line({ patterns: ['main', 'release-*'] }),
    line({ patterns: ['v*'], highestSemverCount: 1, mostRecentlyPushedCount: 1 }),
    line({ mostRecentlyPulledCount: 1 }),
    line({ patterns: ['!(v*)'], pushedWithinMs: 7 * DAY_MS, pulledWithinMs: 30 * DAY_MS }),
  ]
  const tags = [
    tagOf('main', 400),
    tagOf('v1.10.0', 90),
    tagOf('v1.9.1', 80),
    tagOf('v1.2.0', 85, 0.5),
    tagOf('v1.1.0', 99, 40),
    tagOf('ci-1', 3),
    tagOf('ci-2', 40, 29),
    tagOf('ci-3', 20),
    tagOf('ci-4', 40),
  ]
  t.same(await told(lines, tags), {
    main: 'keep: policies[0].keeptags[0].patterns: main',
    'v1.10.0': 'keep: policies[0].keeptags[1].highestsemvercount: 1 of 1',
    'v1.9.1': 'keep: policies[0].keeptags[1].mostrecentlypushedcount: 1 of 1',
    'v1.2.0': 'keep: policies[0].keeptags[2].mostrecentlypulledcount: 1 of 1',
    'v1.1.0':
      'go: none of policies[0].keeptags[1].mostrecentlypushedcount, policies[0].keeptags[1].highestsemvercount, policies[0].keeptags[2].mostrecentlypulledcount holds it: pushed 99 days ago, pulled 40 days ago',
    'ci-1': 'keep: policies[0].keeptags[3].pushedwithin: pushed 3 days ago',
    'ci-2': 'keep: policies[0].keeptags[3].pulledwithin: pulled 29 days ago',
    'ci-3': 'keep: policies[0].keeptags[3].pulledwithin: pushed 20 days ago',
    'ci-4':
      'go: none of policies[0].keeptags[2].mostrecentlypulledcount, policies[0].keeptags[3].pushedwithin, policies[0].keeptags[3].pulledwithin holds it: pushed 40 days ago, pulled never',
  })
})

t.test('R789: of a tag that goes each condition is told that did not hold it', async t => {
  const lines = [
    line({ highestSemverCount: 2 }),
    line({ patterns: ['x*'], pushedWithinMs: DAY_MS }),
  ]
  const tags = [tagOf('v3.0.0', 1), tagOf('v2.0.0', 1), tagOf('v1.0.0', 9), tagOf('x', 5, 3)]
  t.same(await told(lines, tags), {
    'v3.0.0': 'keep: policies[0].keeptags[0].highestsemvercount: 1 of 2',
    'v2.0.0': 'keep: policies[0].keeptags[0].highestsemvercount: 2 of 2',
    'v1.0.0':
      'go: policies[0].keeptags[0].highestsemvercount does not hold it: pushed 9 days ago, pulled never',
    x: 'go: none of policies[0].keeptags[0].highestsemvercount, policies[0].keeptags[1].pushedwithin holds it: pushed 5 days ago, pulled 3 days ago, its name is no version',
  })
})

t.test('a tag that no line names goes, where there are lines, and is told so', async t => {
  t.same(await told([line({ patterns: ['v*'] })], [tagOf('x', 0)]), {
    x: 'go: no line of keeptags names it',
  })
  t.same(await told([], [tagOf('x', 0)]), { x: 'keep: no line says which tags go' })
  const held = { ...tagOf('x', 99), held: 'it waits to be delivered' }
  t.same(await told([line({ patterns: ['v*'] })], [held]), { x: 'keep: it waits to be delivered' })
})

t.test('a line about certain tags counts among those alone', async t => {
  const lines = [
    line({ patterns: ['env18-*'], mostRecentlyPushedCount: 1 }),
    line({ patterns: ['env19-*'], mostRecentlyPushedCount: 1 }),
  ]
  const tags = [tagOf('env18-a', 32), tagOf('env19-a', 1)]
  const verdicts = await judgeTags({ keepTags: lines, place: 0 }, tags, {
    nowMs: NOW_MS,
    timeRun: ALWAYS,
    pieces: new Pieces(),
  })
  t.same(
    [...verdicts.values()].map(({ kind }) => kind),
    ['keep', 'keep'],
  )
})

t.test('versions are in the order of semver.org', async t => {
  const ordered = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-beta',
    '1.0.0-beta.2',
    '1.0.0-beta.11',
    '1.0.0-rc.1',
    '1.0.0',
    'v1.0.1',
    '1.2.0',
    'v1.10.0',
    '2.0.0',
    '99999999999999999999999.0.0',
    '99999999999999999999999.0.1_build.7',
  ]
  const versions = ordered.flatMap(tag => versionOf(tag) ?? [])
  t.equal(versions.length, ordered.length)
  for (const [index, version] of versions.entries())
    for (const [other, than] of versions.entries())
      t.equal(
        Math.sign(compareVersions(version, than)),
        Math.sign(index - other),
        `${ordered[index]} ${ordered[other]}`,
      )
  const [plain, built] = [versionOf('1.0.0'), versionOf('v1.0.0_20260101')]
  t.equal(plain && built && compareVersions(plain, built), 0)
  for (const tag of ['latest', '1', '1.2', 'v1.2', '01.2.3', '1.2.3-01', '1.2.3.4', 'x1.2.3'])
    t.equal(versionOf(tag), undefined, tag)
})

t.test('tags that are about a digest are told by their name', async t => {
  const [algorithm, hex] = digest.split(':')
  for (const end of ['', '.sig', '.att', '.sbom'])
    t.equal(subjectOfTag(parseTag(`${algorithm}-${hex}${end}`)), digest)
  for (const tag of ['sha256-abc.sig', 'latest', `md5-${hex}`, `sha256-${hex}.sig.old`])
    t.equal(subjectOfTag(parseTag(tag)), undefined, tag)
})

t.test('the first policy of which a pattern matches decides', async t => {
  const policy = (...repositories: readonly string[]): RetentionPolicy => ({
    repositories,
    deleteUntagged: true,
    deleteReferrers: false,
    keepTags: [],
  })
  const policies = [policy('localhost/a/*', 'localhost/b'), policy('localhost/a/**')]
  const found = (key: string) => policyFor({ delayMs: 0, policies }, parseRepositoryKey(key))?.place
  t.same(
    ['localhost/a/x', 'localhost/b', 'localhost/a/x/y', 'localhost/c', 'docker.io/a/x'].map(found),
    [0, 0, 1, undefined, undefined],
  )
})

t.test('what signs an image goes with it, however young, unless something holds it', async t => {
  const signing = digestOf(Buffer.from('signature'))
  const manifestOf = (of: typeof digest, daysAgo: number) => ({
    digest: of,
    lastUsedAtMs: NOW_MS - daysAgo * DAY_MS,
    pulledAtMs: undefined,
    children: [],
    subject: undefined,
    held: undefined,
  })
  const name = `${digest.replace(':', '-')}.sig`
  const goes = { deleteUntagged: true, deleteReferrers: true, keepTags: [] }
  const policy = { repositories: ['**'], ...goes, place: 0 }
  const judged = (held: string | undefined) =>
    judge(
      { policy, delayMs: 7 * DAY_MS, nowMs: NOW_MS, timeRun: ALWAYS },
      {
        tags: [{ ...tagOf(name, 1), digest: signing, held }],
        manifests: [manifestOf(digest, 99), manifestOf(signing, 1)],
      },
    )
  const { tags, manifests } = await judged(undefined)
  t.equal(manifests.get(digest)?.kind, 'go')
  t.equal(tags.get(parseTag(name))?.kind, 'go')
  t.equal(manifests.get(signing)?.kind, 'go')
  const kept = await judged('it waits to be delivered')
  t.same(kept.tags.get(parseTag(name)), { kind: 'keep', reason: 'it waits to be delivered' })
  t.match(kept.manifests.get(signing), { kind: 'keep', reason: `the tag ${name} leads to it` })
  t.equal(kept.manifests.get(digest)?.kind, 'go')
})

t.test('others have their turn while very much is judged, however much a line counts', async t => {
  const days = Array.from({ length: 20_000 }, (_, index) => (index * 7_919) % 20_000)
  const tags = days.map(day => tagOf(`v1.0.${day}`, day, day))
  const manifests = tags.map(({ tag }) => ({
    digest: digestOf(Buffer.from(tag)),
    lastUsedAtMs: 0,
    pulledAtMs: undefined,
    children: [],
    subject: undefined,
    held: undefined,
  }))
  const counts = { mostRecentlyPushedCount: 10_000, highestSemverCount: 3 }
  const keepTags = [line({ patterns: ['v*'], ...counts })]
  const goes = { deleteUntagged: true, deleteReferrers: false, keepTags }
  const policy = { repositories: ['**'], ...goes, place: 0 }
  const read = { tags, manifests }
  const turns = await turnsDuring(async () => {
    const judged = await judge({ policy, delayMs: 0, nowMs: NOW_MS, timeRun: ALWAYS }, read)
    t.equal([...judged.tags.values()].filter(({ kind }) => kind === 'keep').length, 10_003)
    t.equal((await inOrder(read, judged)).length, 20_000 + 9_997)
  })
  t.ok(turns >= 900, `${turns} turns`)
})
