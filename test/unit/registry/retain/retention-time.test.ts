// Goal: what goes for its age, or for how seldom it is pulled, was here and counted for so long.
// Method: tags with times in, with the time that ran; verdicts out.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import { parseTag } from '../../../../src/oci/reference.ts'
import { Pieces } from '../../../../src/registry/pacing/pieces.ts'
import { judge } from '../../../../src/registry/retain/judge.ts'
import { judgeTags, type TagToJudge } from '../../../../src/registry/retain/judge-tags.ts'
import type { KeepLine } from '../../../../src/registry/retain/rules.ts'
import { TimeRun } from '../../../../src/registry/time/time-run.ts'
import { ANY_TAG } from '../../../kit/keep-line.ts'

const DAY_MS = 86_400_000
const NOW_MS = 1_000 * DAY_MS
const daysAgo = (days: number) => NOW_MS - days * DAY_MS

const tagOf = (tag: string, pushedDaysAgo: number, pulledDaysAgo?: number): TagToJudge => ({
  tag: parseTag(tag),
  digest: digestOf(Buffer.from(tag)),
  pushedAtMs: daysAgo(pushedDaysAgo),
  pulledAtMs: pulledDaysAgo === undefined ? undefined : daysAgo(pulledDaysAgo),
  held: undefined,
})

async function judged(
  condition: Partial<KeepLine>,
  tags: readonly TagToJudge[],
  timeRun: TimeRun,
): Promise<Record<string, string>> {
  const line: KeepLine = {
    ...ANY_TAG,
    ...condition,
  }
  const verdicts = await judgeTags({ keepTags: [line], place: 0 }, tags, {
    nowMs: NOW_MS,
    timeRun,
    pieces: new Pieces(),
  })
  return Object.fromEntries(
    [...verdicts].map(([tag, each]) => [tag, `${each.kind}: ${each.reason}`]),
  )
}

t.test('R423: pulls from before they were counted may have been a moment before', async t => {
  const tags = [tagOf('old', 45), tagOf('used', 45, 2), tagOf('idle', 45, 31)]
  const pulledWithinMs = 30 * DAY_MS
  t.same(await judged({ pulledWithinMs }, tags, new TimeRun(daysAgo(5), [])), {
    old: 'keep: policies[0].keeptags[0].pulledwithin: pulls have been counted for 5 days only',
    used: 'keep: policies[0].keeptags[0].pulledwithin: pulled 2 days ago',
    idle: 'keep: policies[0].keeptags[0].pulledwithin: pulls have been counted for 5 days only',
  })
  t.same(await judged({ pulledWithinMs }, tags, new TimeRun(daysAgo(40), [])), {
    old: 'go: policies[0].keeptags[0].pulledwithin does not hold it: pushed 45 days ago, pulled never in 40 days in which it was counted',
    used: 'keep: policies[0].keeptags[0].pulledwithin: pulled 2 days ago',
    idle: 'go: policies[0].keeptags[0].pulledwithin does not hold it: pushed 45 days ago, pulled 31 days ago',
  })
})

t.test('R423: which was pulled last is asked of none before it is known', async t => {
  const tags = [tagOf('old', 45), tagOf('older', 50), tagOf('new', 1), tagOf('used', 45, 2)]
  const kept = async (count: number, since: number) => {
    const line = { mostRecentlyPulledCount: count }
    const verdicts = await judged(line, tags, new TimeRun(daysAgo(since), []))
    return Object.keys(verdicts).filter(tag => verdicts[tag]?.startsWith('keep'))
  }
  t.same(await kept(2, 5), ['old', 'older', 'new', 'used'])
  t.same(await kept(1, 5), ['used'], 'it was pulled later than all that nobody counted')
  t.same(await kept(2, 31), ['new', 'used'], 'a month is enough to find out')
})

t.test('R423: time in which it did not run makes nothing old', async t => {
  const away = new TimeRun(0, [{ fromMs: daysAgo(36), untilMs: daysAgo(1) }])
  const tags = [tagOf('pushed', 40), tagOf('pulled', 90, 40), tagOf('before', 66)]
  const [pushed, pulled] = ['pushedWithinMs', 'pulledWithinMs'].map(key => ({ [key]: 30 * DAY_MS }))
  t.same(await judged(pushed ?? {}, tags, away), {
    pushed:
      'keep: policies[0].keeptags[0].pushedwithin: pushed 40 days ago (this edge ran for 5 days of that)',
    pulled:
      'go: policies[0].keeptags[0].pushedwithin does not hold it: pushed 90 days ago (this edge ran for 55 days of that), pulled 40 days ago (this edge ran for 5 days of that)',
    before:
      'go: policies[0].keeptags[0].pushedwithin does not hold it: pushed 66 days ago (this edge ran for 31 days of that), pulled never',
  })
  t.match(await judged(pulled ?? {}, tags, away), {
    pushed: /^keep/,
    pulled: /^keep/,
    before: /^go/,
  })
})

t.test('R423: nor is anything without a tag beyond the delay', async t => {
  const manifest = {
    digest: digestOf(Buffer.from('image')),
    lastUsedAtMs: daysAgo(40),
    pulledAtMs: undefined,
    children: [],
    subject: undefined,
    held: undefined,
  }
  const policy = {
    place: 0,
    repositories: ['**'],
    deleteUntagged: true,
    deleteReferrers: false,
    keepTags: [],
  }
  const verdictBy = async (timeRun: TimeRun) => {
    const by = { policy, delayMs: DAY_MS, nowMs: NOW_MS, timeRun }
    const { manifests } = await judge(by, { tags: [], manifests: [manifest] })
    return manifests.get(manifest.digest)
  }
  t.match(await verdictBy(new TimeRun(0, [])), { kind: 'go' })
  t.match(await verdictBy(new TimeRun(daysAgo(0.5), [])), {
    kind: 'keep',
    reason: 'pulls have been counted for less than the delay',
  })
  t.match(await verdictBy(new TimeRun(0, [{ fromMs: daysAgo(41), untilMs: daysAgo(0.5) }])), {
    kind: 'keep',
    reason: 'pushed or pulled 40 days ago (this edge ran for 12 hours of that), within the delay',
  })
})

t.test('R424: what is pushed after a clock was ahead has its place among the latest', async t => {
  const line = { mostRecentlyPushedCount: 1 }
  const tags = [tagOf('to-come', -300), tagOf('new', 0), tagOf('old', 2)]
  t.match(await judged(line, tags, new TimeRun(0, [])), {
    'to-come':
      'keep: policies[0].keeptags[0].mostrecentlypushedcount: its time is of a clock that was ahead',
    new: 'keep: policies[0].keeptags[0].mostrecentlypushedcount: 1 of 1',
    old: /^go/,
  })
})

t.test('R424: and so has what is pulled', async t => {
  const line = { mostRecentlyPulledCount: 1 }
  const tags = [tagOf('to-come', 9, -300), tagOf('new', 9, 0), tagOf('old', 9, 2)]
  t.match(await judged(line, tags, new TimeRun(0, [])), {
    'to-come':
      'keep: policies[0].keeptags[0].mostrecentlypulledcount: its time is of a clock that was ahead',
    new: 'keep: policies[0].keeptags[0].mostrecentlypulledcount: 1 of 1',
    old: /^go/,
  })
})
