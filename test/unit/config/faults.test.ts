// Goal: every fault of a configuration is told once, with its place and what was probably meant,
// and never as a stack trace. Method: a table of faulty texts with the lines that the operator
// reads.
import t from 'tap'
import { complaints, loadText } from '../../kit/load-text.ts'

/** Text of a configuration → what is said about it, without the file's name. */
const FAULTS: Record<string, readonly [text: string, ...lines: readonly (string | RegExp)[]]> = {
  'a tab': ['http:\n\taddr: ":1"\n', /^2:1: error: there is a tab here/],
  'a duplicate key': [
    'log: { level: info }\ndefault: docker.io\nlog: { level: warn }',
    /^3:1: error: this key was given before/,
  ],
  'a duplicate upstream': [
    'upstreams:\n  docker.io: {}\n  docker.io: {}\n',
    /^3:3: error: this key was given before/,
  ],
  'two documents': ['log: {}\n---\nlog: {}\n', /^2:1: error: there is a second document/],
  'an unquoted star as a value': ['upstreams:\n  docker.io:\n    include: *\n', /must be quoted/],
  'an unquoted tag pattern': [
    'upstreams:\n  docker.io:\n    tags:\n      - match: *:latest\n        ttl: 1m\n',
    /^4:16: error: .*must be quoted \(did you mean "\*:latest"\?\)/,
    /^4:16: error: upstreams.docker.io.tags\[0\].match: has no value/,
  ],
  'an unquoted star as an upstream': [
    'upstreams:\n  *: {}\n',
    /^2:\d+: error: names that begin with \* must be quoted/,
  ],
  'an unclosed quote': ['default: "docker.io\n', /^\d+:\d+: error: Missing closing/],
  'no map': ['- a\n', '1:1: error: a configuration is keys with values'],
  'an unknown key': [
    'storage: { rootdirectroy: /x }',
    '1:12: error: storage.rootdirectroy: there is no such key (did you mean rootdirectory?)',
  ],
  'a key in the wrong place': [
    'rootDirectory: /x',
    '1:1: error: rootDirectory: there is no such key (did you mean storage.rootdirectory?)',
  ],
  'a key that members of objects have': [
    'constructor: 1\n__proto__: 2\n',
    /^1:1: .*constructor: there is no such key/,
    /^2:1: .*__proto__: there is no such key/,
  ],
  'a key of a later version': [
    'storage: { s3: { bucket: x } }',
    '1:12: error: storage.s3: is not in this version yet',
  ],
  'a part of a later version': ['peers: {}', '1:1: error: peers: is not in this version yet'],
  'a list for a value': [
    'default: [docker.io]',
    /^1:10: error: default: is a list; it must be one registry host/,
  ],
  'a value for a list': [
    'http: { names: edge }',
    /^1:16: error: http.names: must be a list \(did you mean \["edge"\]\?\)/,
  ],
  'a value for a map': [
    'http: 5000\nadmin: { addr: "127.0.0.1:0" }',
    '1:7: error: http: must hold keys with values',
  ],
  'a key without a value': ['log: { level: }', /^1:\d+: error: log.level: has no value/],
  'a boolean in words': [
    'upstreams: { docker.io: { offline: yes } }',
    /offline: must be true or false, without quotes \(did you mean true\?\)/,
  ],
  'a boolean in quotes': [
    'upstreams: { docker.io: { offline: "true" } }',
    /offline: must be true or false, without quotes/,
  ],
  'a level of another program': [
    'log: { level: warning }',
    /log.level: must be one of .* \(did you mean warn\?\)/,
  ],
  'a word that is cut off': [
    'repositories: [{ match: "localhost/**", push: que }]',
    /push: must be one of .* \(did you mean queue\?\)/,
  ],
  'a word with a slip': [
    'repositories: [{ match: "localhost/**", push: froward }]',
    /push: must be one of .* \(did you mean forward\?\)/,
  ],
  'a pattern that needs quotes where it is right': [
    'repositories: [{ match: "/*/team", push: store }]',
    /match: .* \(did you mean "\*\/team"\?\)/,
  ],
  'a bad unit': [
    'storage: { maxsize: 10G }',
    /storage.maxsize: is G 1024s or 1000s\?.*\(did you mean 10GiB\?\)/,
  ],
  'a size where only a share will do': [
    'storage: { lowwater: 10GiB }',
    /storage.lowwater: must be a share/,
  ],
  'a size of nothing': ['storage: { maxsize: 0 }', /storage.maxsize: must be above 0/],
  'a negative ttl': ['freshness: { ttl: -5m }', /freshness.ttl: a duration cannot be negative/],
  'a ttl without a unit': ['freshness: { ttl: 300 }', /freshness.ttl: .*\(did you mean 300s\?\)/],
  'a limit that is exceeded': [
    'http: { draintimeout: 2h }',
    /http.draintimeout: must be at most 1h/,
  ],
  'too few connections': [
    'upstreams: { docker.io: { connections: 0 } }',
    /connections: must be at least 1/,
  ],
  'a port alone': ['http: { addr: 5000 }', /http.addr: .*\(did you mean :5000\?\)/],
  'a port that no machine has': ['http: { addr: ":70000" }', /http.addr: a port is at most 65535/],
  'an IPv6 address without brackets': [
    'http: { addr: "::1" }',
    /http.addr: .*brackets \(did you mean "\[::1\]:5000"\?\)/,
  ],
  'one address for both listeners': [
    'admin: { addr: "127.0.0.1:5000" }',
    /admin.addr: is the address of http.addr/,
  ],
  'an unknown default': [
    'default: dockr.io\nupstreams: { quay.io: {}, docker.io: {} }',
    '1:10: error: default: is not under upstreams (did you mean docker.io?)',
  ],
  'a URL as an upstream': [
    'upstreams: { docker.io: {}, "https://ghcr.io/": {} }',
    /upstreams.https:\/\/ghcr.io\/: is no registry host.*\(did you mean ghcr.io\?\)/,
  ],
  'an upstream with a path': [
    'upstreams: { docker.io: {}, ghcr.io/team: {} }',
    /is no registry host.*\(did you mean ghcr.io\?\)/,
  ],
  'an upstream on no port': [
    'upstreams: { docker.io: {}, "a.example:70000": {} }',
    /is no registry host/,
  ],
  'localhost as the only upstream': [
    'upstreams: { localhost: {} }',
    /^1:\d+: error: upstreams.localhost: is reserved/,
  ],
  'localhost as an upstream': [
    'upstreams: { docker.io: {}, "localhost:5000": {} }',
    /upstreams.localhost:5000: is reserved.*\(did you mean 127.0.0.1:5000\?\)/,
  ],
  'two names of Docker Hub': [
    'upstreams: { docker.io: {}, index.docker.io: {} }',
    '1:29: error: upstreams.index.docker.io: is docker.io, which is listed already',
  ],
  'an own name as an upstream': [
    'http: { names: [edge.example] }\nupstreams: { docker.io: {}, edge.example: {} }',
    /upstreams.edge.example: is a name of this edge/,
  ],
  'one virtual host for two upstreams': [
    'upstreams: { docker.io: { virtualhosts: [a.lan] }, ghcr.io: { virtualhosts: [a.lan] } }',
    /upstreams.ghcr.io.virtualhosts\[0\]: stands for docker.io already/,
  ],
  'a URL without its scheme': [
    'upstreams: { docker.io: { url: "mirror.example:5000" } }',
    /url: a URL begins with https:\/\/ \(did you mean https:\/\/mirror.example:5000\?\)/,
  ],
  'a URL with /v2': [
    'upstreams: { docker.io: { url: "https://a.example/v2/proxy/hub" } }',
    /url: is written without \/v2; proxy\/hub goes into basepath \(did you mean https:\/\/a.example\?\)/,
  ],
  'a URL of another kind': [
    'upstreams: { docker.io: { url: "ftp://a.example" } }',
    /must begin with https/,
  ],
  'https and plain HTTP': [
    'upstreams: { docker.io: { url: "https://a.example", http: true } }',
    /docker.io.http: says plain HTTP, and url is https/,
  ],
  'http and no plain HTTP': [
    'upstreams: { docker.io: { url: "http://a.example", http: false } }',
    /url: is plain HTTP, and http is false/,
  ],
  'a base path that no name begins with': [
    'upstreams: { docker.io: { basepath: "Proxy Hub" } }',
    /basepath: must be the beginning/,
  ],
  'a public URL with a path': [
    'http: { host: "https://a.example/x" }',
    /http.host: must have no path \(did you mean https:\/\/a.example\?\)/,
  ],
  'a bracket without its partner': [
    'upstreams: { docker.io: { include: ["a[", "b{c"] } }',
    /include\[0\]: has a bracket/,
    /include\[1\]: has a bracket/,
  ],
  'a pattern that matches nothing': [
    'upstreams: { docker.io: { exclude: ["[z-a]"] } }',
    /exclude\[0\]: can match nothing/,
  ],
  'a pattern that is turned round as a whole': [
    'upstreams: { docker.io: { exclude: ["!library/**"], include: ["a//b", ".hidden"] } }',
    /exclude\[0\]: this matches nothing.*use exclude/,
    /include\[0\]: this matches nothing: a name has no two slashes/,
    /include\[1\]: this matches nothing/,
  ],
  'a pattern with its host': [
    'upstreams: { docker.io: { include: ["docker.io/library/**"] } }',
    /include\[0\]: is matched against names inside docker.io.*\(did you mean library\/\*\*\?\)/,
  ],
  'a pattern in capitals': [
    'upstreams: { docker.io: { include: ["Library/*"] } }',
    /include\[0\]: .*\(did you mean library\/\*\?\)/,
  ],
  'a tag pattern without a repository': [
    'upstreams: { docker.io: { tags: [{ match: latest, ttl: 1m }] } }',
    /tags\[0\].match: is <repository pattern>:<tag pattern>.*\(did you mean "\*:latest"\?\)/,
  ],
  'a digest as a tag pattern': [
    'upstreams: { docker.io: { tags: [{ match: "a@sha256:b", ttl: 0 }] } }',
    /match: a digest never goes stale/,
  ],
  'a tag pattern that takes hours to match against some tags': [
    'upstreams: { docker.io: { tags: [{ match: "*:v([0-9]+)+x", ttl: 1m }] } }',
    /tags\[0\].match: has a \+ that no bracket follows: what is repeated is written \+\(…\)/,
  ],
  'a tag rule without its ttl': [
    'upstreams: { docker.io: { tags: [{ match: "*:a" }] } }',
    /tags\[0\].ttl: is missing/,
  ],
  'one tag pattern in both spellings': [
    'upstreams: { docker.io: { tags: [{ match: "*:a", ttl: 1m }, { match: "**@a", ttl: 2m }] } }',
    /warning: upstreams.docker.io.tags\[1\].match: is never reached: tags\[0\] matches all of it/,
  ],
  'a tag rule behind a wider one': [
    'upstreams: { docker.io: { tags: [{ match: "a/**:*", ttl: 1m }, { match: "a/b:1.*", ttl: 2m }] } }',
    /warning: upstreams.docker.io.tags\[1\].match: is never reached: tags\[0\] matches all of it/,
  ],
  'what takes too long against the names of somebody who means it': [
    'default: ghcr.io\nupstreams: { ghcr.io: { include: ["*-*-*-*-*-*x", "a/**/a/**/a/**/*x", "{a,b}-*-*-*x", "!(a)-!(a)-*-*-x", "*-*-*-*", "*-*/*-*/*-*/**"] } }',
    /include\[0\]: has 6 wildcards in one component and as \*\* before its end, and at most 3 can be matched in time$/,
    /include\[1\]: has 4 wildcards/,
    /include\[2\]: has 3 wildcards .* and can be read in 2 ways by its choices/,
    /include\[3\]: has 4 wildcards/,
  ],
  'the same of repositories': [
    'storage: { retention: { policies: [{ repositories: ["docker.io/*-*-*-*-*-*x", "**/{a,b}-*-*"] }] } }',
    /repositories\[0\]: has 6 wildcards in one component/,
  ],
  'what is excluded twice, or included and excluded': [
    'upstreams: { docker.io: { include: ["a/b/*", "c/*"], exclude: ["a/**", "a/x", "c/d"] } }',
    /warning: upstreams.docker.io.include\[0\]: has no effect: exclude\[0\] keeps all of it out/,
    /warning: upstreams.docker.io.exclude\[1\]: has no effect: exclude\[0\] matches all of it/,
  ],
  // Patterns that matched nothing were told twice, and said to match all of others.
  'one name of Docker Hub without its library, twice': [
    'upstreams: { docker.io: { include: [alpine], exclude: ["a*", alpine, alpine], tags: [{ match: "a:*", ttl: 1m }, { match: "a:b", ttl: 1m }] } }',
    /include\[0\]: matches nothing/,
    /exclude\[0\]: matches nothing/,
    /exclude\[1\]: matches nothing/,
    /exclude\[2\]: matches nothing/,
    /tags\[0\].match: matches nothing/,
    /tags\[1\].match: matches nothing/,
  ],
  'what can be in no name, beside what can': [
    'upstreams: { docker.io: { exclude: ["_a/*", "a//*"], tags: [{ match: "a/-b/**:*", ttl: 1m }] } }',
    /exclude\[0\]: this matches nothing: _a is in no repository name/,
    /exclude\[1\]: this matches nothing: a name has no two slashes/,
    /tags\[0\].match: this matches nothing: -b is in no repository name/,
  ],
  'a name of Docker Hub without its library': [
    'upstreams: { docker.io: { exclude: [alpine], tags: [{ match: "debian:*", ttl: 1m }] } }',
    /warning: .*exclude\[0\]: matches nothing: .* two components \(did you mean library\/alpine\?\)/,
    /warning: .*tags\[0\].match: matches nothing: .*\(did you mean library\/debian\?\)/,
  ],
  'a host with a final dot, and a pattern of hosts': [
    'http: { hosts: [registry.example., "*.example"] }',
    /http.hosts\[0\]: must be a host name.*\(did you mean registry.example\?\)/,
    /http.hosts\[1\]: must be a host name: a pattern of names matches nothing/,
  ],
  'a URL for all registries': [
    'upstreams: { "*": { url: "https://a.example", mirrors: ["https://b.example"] } }',
    /upstreams.\*.url: is for one registry/,
    /upstreams.\*.mirrors: is for one registry/,
  ],
  'a helper by its path': [
    'upstreams: { docker.io: { credentials: { helper: /bin/docker-credential-x } } }',
    /helper: is written without.*\(did you mean x\?\)/,
  ],
  'a home directory': ['storage: { rootdirectory: ~/data }', /rootdirectory: ~ is not expanded/],
  'a name nearly that of a well-known registry': [
    'upstreams: { docker.io: {}, gchr.io: {} }',
    /warning: upstreams.gchr.io: is not ghcr.io/,
  ],
  'a registry without a dot': [
    'upstreams: { docker.io: {}, quay: {} }',
    /warning: upstreams.quay: has no dot.*\(did you mean quay.io\?\)/,
  ],
  'metrics for everybody': [
    'admin: { addr: ":5001" }',
    /warning: admin.addr: is reached from other machines/,
  ],
  'redirects from files': [
    'storage: { redirect: { disable: false } }',
    /warning: storage.redirect.disable: has no effect/,
  ],
  'private addresses for all registries': [
    'upstreams: { "*": { privateaddresses: true } }',
    /warning: upstreams.\*.privateaddresses: lets every client/,
  ],
}

for (const [what, [text, ...lines]] of Object.entries(FAULTS)) {
  t.test(`a configuration with ${what} is told so`, async t => {
    const said = complaints(text).map(line => line.replace('edge.yaml:', ''))
    t.equal(said.length, lines.length, said.join('\n'))
    for (const [index, line] of lines.entries()) {
      if (typeof line === 'string') t.equal(said[index], line)
      else t.match(said[index], line)
    }
  })
}

t.test(
  'all faults are told at once, in the order of the file, and one does not hide another',
  async t => {
    const said = complaints(`log: { level: loud }
http: { addr: 1, adr: 2 }
upstreams:
  docker.io: { ttl: soon }
  ghcr.io: 5
default: gcr.io
`)
    t.match(said, [
      /^edge.yaml:1:15: /,
      /^edge.yaml:2:15: /,
      /^edge.yaml:2:18: /,
      /^edge.yaml:4:21: /,
      /^edge.yaml:5:12: /,
      /^edge.yaml:6:10: /,
    ])
    t.equal(said.length, 6)
  },
)

t.test(
  'a configuration of the distribution registry is recognised and refused in one sentence',
  async t => {
    for (const version of ['0.1', '"0.1"']) {
      const said = complaints(`version: ${version}\nstorage:\n  filesystem: {}\nproxy: {}\n`)
      t.equal(said.length, 1)
      t.match(
        said[0],
        /^edge.yaml:1:1: error: version: this is a configuration of the distribution registry/,
      )
    }
    t.match(
      complaints('version: 1'),
      [/there is no such key/],
      'another version is only an unknown key',
    )
  },
)

t.test('a text that would grow without end is refused', async t => {
  const levels = Array.from(
    { length: 12 },
    (_, i) =>
      `k${i}: &k${i} [${Array(10)
        .fill(i === 0 ? 'x' : `*k${i - 1}`)
        .join(', ')}]`,
  )
  t.match(complaints(levels.join('\n')).join('\n'), /too large or too deep/)
  t.match(complaints('log: &a { level: *a }').join('\n'), /error/)
  t.match(complaints(`${'['.repeat(2000)}`)[0], /error/)
})

t.test('warnings do not keep a configuration from being used', async t => {
  const result = loadText('admin: { addr: ":5001" }')
  t.match(result, {
    kind: 'ok',
    warnings: [{ severity: 'warning', path: 'admin.addr', line: 1, column: 16 }],
  })
})

t.test('a key with a line break in it is told on one line', async t => {
  const lines = complaints('? upstreams\n    \n  upstreams', {}).join('\n')
  t.match(lines, /upstreams\\nupstreams|upstreams upstreams/)
  t.ok(
    complaints('? upstreams\n    \n  upstreams', {}).every(line =>
      /^\S.*: (?:error|warning): ./.test(line),
    ),
  )
})

// The default of `include` was judged as if somebody had written it.
t.test('all that may be excluded by itself is no fault', async t => {
  for (const glob of ['**', '*'])
    t.strictSame(complaints(`upstreams: { docker.io: {}, ghcr.io: { exclude: ["${glob}"] } }`), [])
})

t.test('R483: what is said of a list counts its items as they are written, also the faulty', t => {
  const rules = [
    'repositories:',
    '  - { match: "[" }',
    '  - { match: "localhost/a/**" }',
    '  - { match: "localhost/a/b", push: sometimes }',
    '  - { push: deny }',
    '  - { match: "localhost/a/c" }',
    '  - { match: "localhosts/**" }',
  ]
  t.match(complaints(rules.join('\n')), [
    /yaml:2:.* error: repositories\[0\]\.match: /,
    /yaml:4:.* warning: repositories\[2\]\.match: is never reached: repositories\[1\] matches all of it/,
    /yaml:4:.* error: repositories\[2\]\.push: /,
    /yaml:5:.* error: repositories\[3\]\.match: is missing/,
    /yaml:6:.* warning: repositories\[4\]\.match: is never reached: repositories\[1\] matches all of it/,
    /yaml:7:.* repositories\[5\]\.match: /,
  ])
  const policies = [
    'storage: { retention: { policies: [',
    '  { repositories: ["[", "localhost/a/**"] },',
    '  { repositories: ["localhost/b"], deleteuntagged: perhaps },',
    '  { repositories: ["[", "localhost/a/b"], keeptags: [',
    '    { patterns: [v1], pulledwithin: soon },',
    '    { patterns: ["**"] },',
    '    { patterns: [v2] },',
    '  ] },',
    ' ] } }',
  ]
  t.match(complaints(policies.join('\n')), [
    /yaml:2:.* error: .*policies\[0\]\.repositories\[0\]: /,
    /yaml:3:.* error: .*policies\[1\]\.deleteuntagged: /,
    /yaml:4:.* error: .*policies\[2\]\.repositories\[0\]: /,
    /yaml:4:.* warning: .*policies\[2\]\.repositories\[1\]: is never reached: policies\[0\]/,
    /yaml:5:.* warning: .*policies\[2\]\.keeptags\[0\]: changes nothing: keeptags\[1\]/,
    /yaml:5:.* error: .*policies\[2\]\.keeptags\[0\]\.pulledwithin: /,
    /yaml:7:.* warning: .*policies\[2\]\.keeptags\[2\]: changes nothing: keeptags\[1\]/,
  ])
  t.end()
})

t.test('R788: upstreams without Docker Hub are told what to write beside them', t => {
  const rest = 'docker.io is not among them, and names without a registry go there by default'
  const here = '"default: localhost" for what is kept here, beside upstreams'
  t.same(complaints('http:\n  addr: ":5000"\nupstreams:\n  ghcr.io: {}\n'), [
    `edge.yaml:4:3: error: upstreams: ${rest}: write "default: ghcr.io", or ${here}`,
  ])
  t.same(complaints('upstreams: {}'), [`edge.yaml:1:12: error: upstreams: ${rest}: write ${here}`])
  for (const written of ['ghcr.io', 'localhost'])
    t.same(complaints(`default: ${written}\nupstreams: { ghcr.io: {} }`), [])
  t.same(complaints('upstreams: { ghcr.io: {} }', { env: { ENTREPOT_DEFAULT: 'ghcr.io' } }), [])
  t.end()
})
