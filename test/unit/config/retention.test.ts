// Goal: what the operator writes under storage.retention arrives as policies, and what can never do
// what it says is told with line and way out. Method: texts loaded as files, and the lines that the
// operator reads.
import t from 'tap'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { complaints, configOf } from '../../kit/load-text.ts'

const DAY_MS = 86_400_000
const NO_CONDITION = {
  patterns: [],
  mostRecentlyPushedCount: undefined,
  mostRecentlyPulledCount: undefined,
  highestSemverCount: undefined,
  pushedWithinMs: undefined,
  pulledWithinMs: undefined,
}

t.test('without a policy nothing goes', async t => {
  t.same(configOf(undefined).storage.retention, {
    intervalMs: DAY_MS,
    delayMs: DAY_MS,
    dryRun: false,
    policies: [],
  })
})

t.test('"delete images older than 30 days" is one line', async t => {
  const { storage } = configOf(
    'storage: { retention: { policies: [{ repositories: ["**"], keeptags: [{ pushedwithin: 30d }] }] } }',
  )
  t.same(storage.retention.policies, [
    {
      repositories: ['**'],
      deleteUntagged: true,
      deleteReferrers: false,
      keepTags: [{ ...NO_CONDITION, pushedWithinMs: 30 * DAY_MS }],
    },
  ])
})

const POLICIES = `storage:
  retention:
    delay: 2h
    policies:
      - repositories: [localhost/infra/*, localhost/prod/**]
        deletereferrers: true
        deleteuntagged: false
        keeptags:
          - patterns: ["v2.*", "*-prod"]
          - { patterns: ["v*"], mostrecentlypushedcount: 10, mostrecentlypulledcount: 9 }
          - { highestsemvercount: 3, pulledwithin: 720h }
      - repositories: ["**"]
`

t.test('policies and lines keep their order and their words', async t => {
  const { delayMs, policies } = configOf(POLICIES).storage.retention
  t.equal(delayMs, 7_200_000)
  t.match(policies, [
    {
      repositories: ['localhost/infra/*', 'localhost/prod/**'],
      deleteReferrers: true,
      deleteUntagged: false,
      keepTags: [
        { ...NO_CONDITION, patterns: ['v2.*', '*-prod'] },
        { patterns: ['v*'], mostRecentlyPushedCount: 10, mostRecentlyPulledCount: 9 },
        { highestSemverCount: 3, pulledWithinMs: 30 * DAY_MS },
      ],
    },
    { keepTags: [] },
  ])
})

t.test('what is shown of policies can stand in a file again, and changes by a reload', async t => {
  const config = configOf(POLICIES)
  const shown = config.settings.find(({ path }) => path.at(-1) === 'policies')
  const again = configOf(`storage: { retention: { delay: 2h, policies: ${shown?.text} } }`)
  t.same(again.storage.retention, config.storage.retention)
  t.same(compareConfigs(configOf(undefined), config), {
    changed: ['storage.retention.delay', 'storage.retention.policies'],
    needsRestart: [],
  })
})

/** Policies → what is said about them, after their path. */
const FAULTS: Record<string, readonly [policies: string, ...lines: readonly RegExp[]]> = {
  'names without a host, as zot has them': [
    '[{ repositories: ["infra/*"] }]',
    /^error: .*policies\[0\].repositories\[0\]: matches nothing: .*\(did you mean localhost\/infra\/\*\?\)$/,
  ],
  'no repositories': [
    '[{ keeptags: [{ pushedwithin: 1d }] }]',
    /^error: .*policies\[0\].repositories: is empty or missing: a policy names/,
  ],
  'regular expressions': [
    '[{ repositories: ["**"], keeptags: [{ patterns: [".*", "main$"] }] }]',
    /patterns\[0\]: is a regular expression: .*\(did you mean "\*"\?\)$/,
    /patterns\[1\]: is a regular expression: .*\(did you mean main\?\)$/,
  ],
  'what may be a regular expression': [
    '[{ repositories: ["**"], keeptags: [{ patterns: ["v.*", "rel-.*", "v2.*"] }] }]',
    /^warning: .*patterns\[0\]: wants a dot, .*\(did you mean v\*\?\)$/,
    /^warning: .*patterns\[1\]: wants a dot, .*\(did you mean rel-\*\?\)$/,
  ],
  'keys that stand above the policy': [
    '[{ repositories: ["**"], delay: 3h, interval: 1d }]',
    /delay: there is no such key \(did you mean storage\.retention\.delay\?\)$/,
    /interval: there is no such key \(did you mean storage\.retention\.interval\?\)$/,
  ],
  'what takes too long against the tags of somebody who means it': [
    '[{ repositories: ["**"], keeptags: [{ patterns: ["*-*-*-*-*-rc", "+(v*)", "*.*.*-*.*", "+(a|aa)", "+({a,aa})", "{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}{a,aa}", "{a,aa}*b*b*b*b", "v([0-9.]+)+-rc", "+(ab|abab)", "+([ab]|[ac])", "(a)?(a)?(a)?(a)?(a)?(a)?(a)?(a)?(a)?x", "+(alpha|beta)", "!(a)+(?)x", "**(a)*b*c*d"] }] }]',
    /patterns\[0\]: has 5 wildcards before its end, and at most 4 can be matched in time$/,
    /patterns\[1\]: repeats what has a \* or a choice in it, which takes hours to match against some$/,
    /patterns\[3\]: repeats a choice between beginnings of each other: say fewer, write one \[…\], or use \*$/,
    /patterns\[4\]: repeats what has a \* or a choice in it/,
    /patterns\[5\]: can be read in 512 ways by its choices, and at most 256 can be matched in time$/,
    /patterns\[6\]: has 4 wildcards before its end and can be read in 2 ways by its choices/,
    /patterns\[7\]: has a \+ that no bracket follows: what is repeated is written \+\(…\)$/,
    /patterns\[8\]: repeats a choice between beginnings of each other/,
    /patterns\[9\]: repeats a choice between beginnings of each other/,
    /patterns\[10\]: can be read in 384 ways by its choices/,
    /patterns\[12\]: has a \? right behind a bracket, where it stands for itself: no name has one$/,
    /patterns\[13\]: has 5 wildcards before its end/,
  ],
  'the words of zot in their spelling': [
    '[{ repositories: ["**"], keepTags: [{ mostRecentlyPushedCount: 1 }] }]',
    /keepTags: there is no such key \(did you mean keeptags\?\)$/,
  ],
  'a policy that an earlier one covers': [
    '[{ repositories: ["localhost/**"] }, { repositories: ["localhost/ci/**", "**"] }]',
    /^warning: .*policies\[1\].repositories\[0\]: is never reached: policies\[0\] matches all of it; put the narrower one first$/,
  ],
  'what is kept nowhere': [
    '[{ repositories: ["docker.io/**"] }]',
    /^warning: .*repositories\[0\]: is only about what upstreams have: retention is for what is kept here/,
  ],
  'a line that another one covers': [
    '[{ repositories: ["**"], keeptags: [{ patterns: ["v*"] }, { patterns: ["v*"], pushedwithin: 1d }] }]',
    /^warning: .*keeptags\[1\]: changes nothing: keeptags\[0\] keeps all of these tags/,
  ],
  'a line before one that keeps all': [
    '[{ repositories: ["**"], keeptags: [{ mostrecentlypushedcount: 3 }, { pulledwithin: forever }] }]',
    /^warning: .*keeptags\[0\]: changes nothing: keeptags\[1\] keeps all of these tags/,
  ],
  'the same line twice': [
    '[{ repositories: ["**"], keeptags: [{ patterns: [a] }, { patterns: [a] }] }]',
    /^warning: .*keeptags\[1\]: changes nothing: keeptags\[0\] keeps/,
  ],
  'counts and ages of nothing': [
    '[{ repositories: ["**"], keeptags: [{ mostrecentlypushedcount: 0 }, { pushedwithin: 1s }] }]',
    /mostrecentlypushedcount: must be at least 1$/,
    /pushedwithin: must be at least 1m$/,
  ],
}

for (const [what, [policies, ...lines]] of Object.entries(FAULTS)) {
  t.test(`${what}: told so`, async t => {
    const said = complaints(`storage:\n  retention:\n    policies: ${policies}\n`)
    t.equal(said.length, lines.length, said.join('\n'))
    for (const [index, line] of lines.entries())
      t.match(said[index]?.replace(/^edge.yaml:3:\d+: /, ''), line)
  })
}

t.test('untagged content that is to go never is no policy', async t => {
  const text = 'storage: { retention: { delay: forever, policies: [{ repositories: ["**"] }] } }'
  t.match(complaints(text), [/deleteuntagged: nothing untagged ever goes: .*mean false/])
})

t.test('a store rule for an upstream’s names makes them content that is kept', async t => {
  const text = `repositories: [{ match: "docker.io/mine/**", push: store }]
storage: { retention: { policies: [{ repositories: ["docker.io/**"] }] } }`
  t.same(complaints(text), [])
})
