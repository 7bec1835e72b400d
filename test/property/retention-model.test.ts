// Goal: what stays under a retention policy is what its words say. Method: policies of ten lines
// against repositories of a thousand tags, with indexes, referrers and signatures, from seeds; the
// judge beside a model that asks each tag and manifest by itself (judges/retention-model.ts).
import t from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import { parseTag } from '../../src/oci/reference.ts'
import {
  judge,
  type JudgeBy,
  type ManifestToJudge,
  type RepositoryToJudge,
} from '../../src/registry/retain/judge.ts'
import type { TagToJudge, RetentionVerdict } from '../../src/registry/retain/judge-tags.ts'
import type { KeepLine } from '../../src/registry/retain/rules.ts'
import { TimeRun } from '../../src/registry/time/time-run.ts'
import { keptByModel } from '../kit/judges/retention-model.ts'
import { createRandom, type Random, seedOf } from '../kit/seeded.ts'

const DAY_MS = 86_400_000
const NOW_MS = 20_000 * DAY_MS
const LINES = 10
const TAGS = 1_000
const MANIFESTS = 700
const ROUNDS = 12
const first = seedOf(process.env)

const PATTERNS = ['*', 'v*', '*-prod', 'main', 'main*', 'ci-*', 'v1.*', '*-rc.*', 'latest', 'none*']
const SPANS = [0.5, 1, 3, 7, 30, 90].map(days => days * DAY_MS)

function maybe<T>(random: Random, times: number, make: () => T): T | undefined {
  return random.oneIn(times) ? make() : undefined
}

function lineOf(random: Random): KeepLine {
  const patterns = Array.from({ length: random.below(3) }, () => random.pick(['v*', ...PATTERNS]))
  return {
    patterns,
    mostRecentlyPushedCount: maybe(random, 3, () => random.between(1, 40)),
    mostRecentlyPulledCount: maybe(random, 3, () => random.between(1, 40)),
    highestSemverCount: maybe(random, 3, () => random.between(1, 20)),
    pushedWithinMs: maybe(random, 6, () => random.pick([DAY_MS, ...SPANS])),
    pulledWithinMs: maybe(random, 6, () => random.pick([DAY_MS, ...SPANS])),
  }
}

function byOf(random: Random): JudgeBy {
  const policy = {
    place: 0,
    repositories: ['**'],
    deleteUntagged: !random.oneIn(4),
    deleteReferrers: random.oneIn(2),
    keepTags: Array.from({ length: random.oneIn(12) ? 0 : LINES }, () => lineOf(random)),
  }
  return {
    policy,
    delayMs: random.pick([0, DAY_MS, 7 * DAY_MS]),
    nowMs: NOW_MS,
    timeRun: new TimeRun(0, []),
  }
}

const digestOf = (index: number) => `sha256:${index.toString(16).padStart(64, '0')}` as Digest

/** Few times, so that many are equal. */
const agoOf = (random: Random) => NOW_MS - random.below(200) * (DAY_MS / 2)

function nameOf(random: Random, index: number): string {
  const version = () => `${random.below(4)}.${random.below(5)}.${random.below(20)}`
  const subject = digestOf(random.below(MANIFESTS + 40)).slice('sha256:'.length)
  return random.pick([
    `ci-${index}`,
    `ci-${index}-prod`,
    `main.${index}`,
    `x${index}`,
    `v${version()}`,
    version(),
    `v${version()}-rc.${random.below(30)}`,
    `sha256-${subject}`,
    `sha256-${subject}.sig`,
    random.pick(['main', 'latest', 'v1']),
  ])
}

function tagOf(random: Random, index: number): TagToJudge {
  return {
    tag: parseTag(nameOf(random, index)),
    digest: digestOf(random.below(MANIFESTS)),
    pushedAtMs: agoOf(random),
    pulledAtMs: random.oneIn(2) ? agoOf(random) : undefined,
    held: maybe(random, 100, () => 'pinned'),
  }
}

function manifestOf(random: Random, index: number): ManifestToJudge {
  const any = () => digestOf(random.below(MANIFESTS + 40))
  return {
    digest: digestOf(index),
    lastUsedAtMs: agoOf(random),
    pulledAtMs: undefined,
    children: random.oneIn(5) ? Array.from({ length: random.between(1, 4) }, any) : [],
    subject: maybe(random, 5, any),
    held: maybe(random, 200, () => 'pinned'),
  }
}

function repositoryOf(random: Random): RepositoryToJudge {
  const tags = Array.from({ length: TAGS }, (_, index) => tagOf(random, index))
  const manifests = Array.from({ length: MANIFESTS }, (_, index) => manifestOf(random, index))
  return { tags: [...new Map(tags.map(each => [each.tag, each])).values()], manifests }
}

const keptOf = (verdicts: ReadonlyMap<string, RetentionVerdict>) =>
  [...verdicts].flatMap(([key, { kind }]) => (kind === 'keep' ? [key] : [])).toSorted()

for (let seed = first; seed < first + ROUNDS; seed += 1) {
  t.test(
    `R341: ten lines against a thousand tags keep what the model keeps, seed ${seed}`,
    async t => {
      const random = createRandom(seed)
      const by = byOf(random)
      const repository = repositoryOf(random)
      const judged = await judge(by, repository)
      const model = keptByModel(by, repository)
      t.same(keptOf(judged.tags), [...model.tags].toSorted(), 'tags')
      t.same(keptOf(judged.manifests), [...model.manifests].toSorted(), 'manifests')
      t.equal(judged.tags.size, repository.tags.length)
      t.equal(judged.manifests.size, repository.manifests.length)

      const turned = {
        tags: repository.tags.toReversed(),
        manifests: repository.manifests.toReversed(),
      }
      const again = await judge(by, turned)
      t.same(keptOf(again.tags), keptOf(judged.tags), 'in whatever order they come')
      t.same(keptOf(again.manifests), keptOf(judged.manifests))
    },
  )
}
