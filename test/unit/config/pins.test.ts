// Goal: what the operator writes about images arrives as it is meant, and what can match nothing is
// told with what was probably meant. Method: texts read by themselves, and loaded as files.
import t from 'tap'
import { readSelector, SELECTOR } from '../../../src/config/selectors.ts'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { selectorFrom } from '../../../src/registry/pins/selectors.ts'
import { complaints, configOf } from '../../kit/load-text.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

const TEXTS = {
  '**': { kind: 'repositories', repositories: '**' },
  'localhost/base/**': { kind: 'repositories', repositories: 'localhost/base/**' },
  '10.0.0.1:5000/team/app': { kind: 'repositories', repositories: '10.0.0.1:5000/team/app' },
  'docker.io/library/*:3.*': {
    kind: 'tags',
    repositories: 'docker.io/library/*',
    tags: '3.*',
  },
  'docker.io/a/b:(a|b)': { kind: 'tags', repositories: 'docker.io/a/b', tags: '(a|b)' },
  '10.0.0.1:5000/app:!(latest)': {
    kind: 'tags',
    repositories: '10.0.0.1:5000/app',
    tags: '!(latest)',
  },
  [`ghcr.io/team/*@${DIGEST}`]: {
    kind: 'manifest',
    repositories: 'ghcr.io/team/*',
    digest: DIGEST,
  },
  [DIGEST]: { kind: 'content', digest: DIGEST },
}

t.test('R351: a selector is read, written again, and sent as JSON', async t => {
  for (const [text, value] of Object.entries(TEXTS)) {
    const read = readSelector(text)
    t.same(read, { kind: 'ok', value }, text)
    if (read.kind === 'fault') continue
    t.equal(SELECTOR.format(read.value), text)
    t.same(selectorFrom(JSON.stringify(read.value)), value)
  }
  for (const json of ['', '[]', 'null', '{"kind":"tags","repositories":"**"}', '{"kind":"later"}'])
    t.equal(selectorFrom(json), undefined, json)
})

t.test('R351: what can be no selector is told with what was probably meant', async t => {
  const faults = [
    ['alpine', /needs a slash/, 'localhost/alpine'],
    ['alpine:3', /needs a slash/, 'localhost/alpine:3'],
    ['ghcr.io', /needs a slash/, 'ghcr.io/**'],
    ['Docker.io/a:V1', /lower-case/, 'docker.io/a:V1'],
    ['docker.io/a/:v1', /does not end with a slash/, 'docker.io/a/**:v1'],
    ['docker.io/a@v1', /tags behind a colon/, 'docker.io/a:v1'],
    ['docker.io/a:^v1$', /regular expression/, 'docker.io/a:v1'],
    ['docker.io/a:', /no tag stands behind the colon/, 'docker.io/a'],
    ['docker.io/a:{b', /bracket/, undefined],
    ['sha256:abc', /64/, undefined],
    ['docker.io/a@sha256:abc', /64/, undefined],
  ] as const
  for (const [text, message, suggestion] of faults) {
    const read = readSelector(text)
    t.match(read, { kind: 'fault', message, ...(suggestion && { suggestion }) }, text)
  }
})

t.test('R351: pins arrive in their order, and a reload changes them', async t => {
  const text = 'pins: ["docker.io/library/*:3.*", "localhost/**"]'
  const { pins } = configOf(text)
  t.same(pins, [
    TEXTS['docker.io/library/*:3.*'],
    { kind: 'repositories', repositories: 'localhost/**' },
  ])
  t.same(configOf(undefined).pins, [])
  t.match(compareConfigs(configOf(undefined), configOf(text)), {
    changed: ['pins'],
    needsRestart: [],
  })
})

t.test(
  'R351: check tells of a pin that matches nothing, and of one that says nothing more',
  async t => {
    const told = complaints(`upstreams: { docker.io: {}, registry.corp.example: {} }
pins:
  - quay.io/team/**
  - docker.io/alpine:3
  - registry.corp.exmple/app:v1
  - registry.corp.example/**
  - "registry.corp.example/app:*"
  - ${DIGEST}
  - localhost/app@${DIGEST}
`)
    t.match(told, [
      /pins\[0\].*matches nothing: quay\.io is neither localhost nor under upstreams/,
      /pins\[1\].*names of docker\.io have two components.*docker\.io\/library\/alpine:3/,
      /pins\[2\].*matches nothing.*registry\.corp\.example\/app:v1/,
      /pins\[4\].*says nothing more: pins\[3\] is about all of it/,
      /pins\[6\].*says nothing more: pins\[5\]/,
    ])
    t.equal(told.length, 5)
  },
)

t.test('R351: a pin of all that ever comes is told', async t => {
  t.match(complaints('pins: ["*"]'), [/warning: pins\[0\]: pins all that ever comes/])
})
