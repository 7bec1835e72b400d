// Goal: what the operator writes under repositories, storage.delete and uploadpurging arrives as
// rules, and what can never do what it says is told with what was probably meant. Method: texts
// loaded as files, and the lines that the operator reads.
import t from 'tap'
import { PUSH_MODE } from '../../../src/config/formats/word-formats.ts'
import { PUSH_MODES } from '../../../src/registry/ports/push-modes.ts'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { complaints, configOf } from '../../kit/load-text.ts'

const CORP = 'upstreams: { docker.io: {}, registry.corp.example: {}, "10.0.0.5:5000": {} }\n'

const REST = { sparse: false, deletable: undefined, immutable: [], onConflict: 'park' }

t.test('without a rule: localhost is kept, everything else is refused', async t => {
  t.same(configOf(undefined).repositories, [
    { match: 'localhost/**', push: 'store', ...REST },
    { match: '**', push: 'deny', ...REST },
  ])
})

t.test('rules keep their order, with what they do not say at its default', async t => {
  const { repositories } = configOf(`${CORP}
repositories:
  - { match: registry.corp.example/site/**, push: queue, onconflict: overwrite, delete: true }
  - { match: "10.0.0.5:5000/*", push: forward, sparse: true }
  - { match: "*" }
`)
  t.same(repositories.slice(0, 3), [
    {
      match: 'registry.corp.example/site/**',
      push: 'queue',
      sparse: false,
      deletable: true,
      immutable: [],
      onConflict: 'overwrite',
    },
    {
      match: '10.0.0.5:5000/*',
      push: 'forward',
      sparse: true,
      deletable: undefined,
      immutable: [],
      onConflict: 'park',
    },
    { match: '**', push: 'deny', ...REST },
  ])
  t.equal(repositories.length, 5, 'the built-in ones follow')
})

t.test('storage.delete.enabled holds wherever a rule says nothing', async t => {
  const text = 'repositories: [{ match: localhost/a/**, push: store, delete: true }]\n'
  const deletable = (more: string) => configOf(text + more).repositories.map(rule => rule.deletable)
  t.same(deletable(''), [true, undefined, undefined])
  t.same(deletable('storage: { delete: { enabled: false } }'), [true, false, false])
  t.same(deletable('storage: { delete: { enabled: true } }'), [true, true, true])
})

t.test('abandoned uploads are removed as in the distribution registry', async t => {
  t.same(configOf('').storage.uploadPurging, {
    enabled: true,
    ageMs: 168 * 3_600_000,
    intervalMs: 24 * 3_600_000,
    dryRun: false,
  })
  const env = {
    ENTREPOT_STORAGE_MAINTENANCE_UPLOADPURGING_AGE: '2h',
    ENTREPOT_STORAGE_MAINTENANCE_UPLOADPURGING_DRYRUN: 'true',
  }
  t.match(configOf('', { env }).storage.uploadPurging, { ageMs: 7_200_000, dryRun: true })
})

t.test('the environment gives rules as YAML', async t => {
  const env = { ENTREPOT_REPOSITORIES: '[{match: "docker.io/team/**", push: forward}]' }
  t.match(configOf('', { env }).repositories[0], { match: 'docker.io/team/**', push: 'forward' })
})

t.test('the modes are those of the engine', async t => {
  t.same(PUSH_MODE.json, { type: 'string', enum: PUSH_MODES })
})

/** A rule → what is said about it, after its path and severity. */
const FAULTS: Record<string, readonly [rule: string, ...lines: readonly RegExp[]]> = {
  'a queue under localhost': [
    '{ match: "localhost/**", push: queue }',
    /^error: repositories\[0\].push: localhost has no upstream \(did you mean store\?\)$/,
  ],
  'forward for what can only be localhost': [
    '{ match: "local{host,net}/a", push: forward }',
    /^error: repositories\[0\].push: localhost has no upstream/,
  ],
  'a host that is no upstream': [
    '{ match: "registry.corp.exmaple/**", push: queue }',
    /^error: repositories\[0\].match: matches nothing: .* \(did you mean registry.corp.example\/\*\*\?\)$/,
  ],
  'a foreign host': [
    '{ match: "other.test/**" }',
    /match: matches nothing: other.test is neither localhost nor under upstreams$/,
  ],
  'no host at all': [
    '{ match: "team/app/**", push: store }',
    /match: matches nothing: team is neither .* \(did you mean docker.io\/team\/app\/\*\*\?\)$/,
  ],
  'localhost with its port': [
    '{ match: "localhost:5000/**", push: store }',
    /match: matches nothing: localhost:5000 is localhost .* \(did you mean localhost\/\*\*\?\)$/,
  ],
  'another name of Docker Hub': [
    '{ match: "index.docker.io/team/**", push: forward }',
    /match: matches nothing: index.docker.io is docker.io .*mean docker.io\/team\/\*\*\?\)$/,
  ],
  'a URL': [
    '{ match: "https://docker.io/**" }',
    /match: a pattern begins with the host, .*\(did you mean docker.io\/\*\*\?\)$/,
  ],
  'a host alone': [
    '{ match: docker.io, push: forward }',
    /match: is matched against host\/name, .*\(did you mean docker.io\/\*\*\?\)$/,
  ],
  'a slash at the end': ['{ match: docker.io/ }', /\(did you mean docker.io\/\*\*\?\)$/],
  'a slash at the beginning': ['{ match: /docker.io/a }', /\(did you mean docker.io\/a\?\)$/],
  capitals: ['{ match: docker.io/Team/a }', /\(did you mean docker.io\/team\/a\?\)$/],
  'a bracket without its partner': ['{ match: "docker.io/[a" }', /match: has a bracket/],
  'a tag in the pattern': [
    '{ match: "docker.io/a:latest@x y" }',
    /match: holds a character that no repository has$/,
  ],
  'a mode of another program': [
    '{ match: "**", push: proxy }',
    /push: must be one of store, forward, queue, deny \(did you mean forward\?\)$/,
  ],
  'a mode in capitals': ['{ match: "**", push: Store }', /\(did you mean store\?\)$/],
  'true as a mode': ['{ match: "**", push: true }', /\(did you mean store\?\)$/],
  'no pattern': ['{ push: store }', /repositories\[0\].match: is missing$/],
  'an unknown key': [
    '{ match: "**", onconflic: park }',
    /there is no such key \(did you mean onconflict\?\)$/,
  ],
  'a regular expression for tags': [
    '{ match: "**", push: store, immutable: [\'^v\\d+.*\', ".*-prod", "v1.*"] }',
    /immutable\[0\]: is a regular expression: .*\(did you mean v\*\?\)$/,
    /immutable\[1\]: is a regular expression: .*\(did you mean "\*-prod"\?\)$/,
  ],
  'tags that there are not': [
    '{ match: "**", push: store, immutable: ["team/app", "app:v1", "-a", "!latest", "a b", "[z-a]"] }',
    /immutable\[0\]: this matches nothing: no tag has a slash$/,
    /immutable\[1\]: is matched against tags alone \(did you mean v1\?\)$/,
    /immutable\[2\]: this matches nothing: a tag does not begin with -/,
    /immutable\[3\]: this matches nothing: .*\(did you mean "!\(latest\)"\?\)$/,
    /immutable\[4\]: holds a character that no tag has$/,
    /immutable\[5\]: can match nothing$/,
  ],
  'an unknown choice': [
    '{ match: "**", push: queue, onconflict: force }',
    /onconflict: must be one of park, overwrite \(did you mean overwrite\?\)$/,
  ],
}

for (const [what, [rule, ...lines]] of Object.entries(FAULTS)) {
  t.test(`a rule with ${what} is told so`, async t => {
    const said = complaints(`${CORP}repositories:\n  - ${rule}\n`)
    t.equal(said.length, lines.length, said.join('\n'))
    for (const [index, line] of lines.entries()) {
      t.match(said[index]?.replace(/^edge.yaml:3:\d+: /, ''), line)
    }
  })
}

t.test('rules that lead somewhere are no fault, however they are written', async t => {
  const matches = [
    '**',
    '**/app',
    '*/team/**',
    'registry.*/**',
    '{docker.io/a,localhost/b}',
    '!localhost/**',
    '!(localhost)/**',
    'registry.corp.example/{a,b}/**',
  ]
  for (const match of matches) {
    const rule = JSON.stringify([{ match, push: 'queue' }])
    t.same(complaints(`${CORP}repositories: ${rule}`), [], match)
  }
  const ipv6 = 'upstreams: { docker.io: {}, "[fd00::1]:5000": {} }\nrepositories: '
  const text = `${ipv6}[{ match: "[fd00::1]:5000/**", push: queue }]`
  t.equal(configOf(text).repositories[0]?.match, '?fd00::1?:5000/**')
  const any = 'upstreams: { docker.io: {}, "*": {} }\nrepositories: '
  t.same(complaints(`${any}[{ match: other.example/**, push: forward }]`), [])
  t.match(complaints(`${any}[{ match: localhost/**, push: forward }]`), [/has no upstream/])
})

t.test('an own name of the edge and a virtual host are known by another name', async t => {
  const names = `http: { names: [edge.lan] }
upstreams: { docker.io: { virtualhosts: [hub.lan] } }
repositories: [{ match: edge.lan/**, push: store }, { match: hub.lan/**, push: forward }]`
  t.match(complaints(names), [
    /edge.lan is localhost .*mean localhost\/\*\*\?/,
    /hub.lan is docker.io .*mean docker.io\/\*\*\?/,
  ])
})

t.test('what can never happen is warned about', async t => {
  const offline = 'upstreams: { docker.io: { offline: true } }\nrepositories: '
  t.match(complaints(`${offline}[{ match: docker.io/**, push: queue }]`), [
    /warning: repositories\[0\].push: docker.io is offline: what is pushed waits here/,
  ])
  t.match(complaints(`${offline}[{ match: docker.io/**, push: forward }]`), [
    /warning: .* docker.io is offline: every push is refused/,
  ])
  const twice = 'repositories: [{ match: docker.io/a/** }, { match: docker.io/a/** }]'
  t.match(complaints(twice), [/warning: repositories\[1\].match: is never reached: .*\[0\]/])
  t.match(complaints('repositories: [{ match: "*" }, { match: docker.io/a/b }]'), [/never reached/])
  const wider = 'repositories: [{ match: docker.io/** }, { match: docker.io/team/* }]'
  t.match(complaints(wider), [/warning: repositories\[1\].match: is never reached: .*\[0\]/])
  t.match(complaints('repositories: [{ match: docker.io/alpine }, { match: docker.io/* }]'), [
    /warning: repositories\[0\].match: matches nothing: .*did you mean docker.io\/library\/alpine\?/,
    /warning: repositories\[1\].match: matches nothing: .*did you mean docker.io\/\*\*\?/,
  ])
  // What matches nothing was said to match all of another one.
  const nothing = 'repositories: [{ match: docker.io/* }, { match: docker.io/alpine }]'
  t.equal(complaints(nothing).length, 2, 'one for each')
  for (const said of complaints(nothing)) t.match(said, /matches nothing/)
  t.match(complaints('repositories: [{ match: docker.io/_x/* }]'), [/error: .*_x is in no repo/])
})

t.test('an upstream that was refused is one fault, and no second one of its rule', async t => {
  const text = 'upstreams: { docker.io: {}, "a b": {} }\nrepositories: [{ match: other.test/a }]'
  t.equal(complaints(text).length, 1)
})

t.test('rules, deletes and purging change with a reload', async t => {
  const before = configOf('repositories: [{ match: docker.io/a/b, push: store }]')
  const after = configOf(`repositories: [{ match: docker.io/a/b, push: forward }]
storage: { delete: { enabled: true }, maintenance: { uploadpurging: { interval: 1h } } }`)
  t.same(compareConfigs(before, after), {
    changed: [
      'storage.maintenance.uploadpurging.interval',
      'repositories',
      'storage.delete.enabled',
    ],
    needsRestart: [],
  })
})

t.test('R120: tags that are immutable where nobody pushes are told', async t => {
  const rule = (more: string) => complaints(`repositories: [{ match: "docker.io/**", ${more} }]`)
  t.match(rule('immutable: ["v*"]'), [/immutable: changes nothing: nobody may push here/])
  t.match(rule('push: queue, immutable: true'), [/immutable: must be a list$/])
  t.same(rule('push: queue, immutable: ["v*"]'), [])
})
