// Goal: a reload can say what took effect and what waits for a restart. Method: pairs of
// configurations.
import t from 'tap'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { configOf } from '../../kit/load-text.ts'

t.test('nothing changed: nothing is reported', async t => {
  const text = 'upstreams: { docker.io: { tags: [{ match: "*:a", ttl: 1m }] } }'
  t.same(compareConfigs(configOf(text), configOf(text)), { changed: [], needsRestart: [] })
  t.same(
    compareConfigs(configOf('freshness: { ttl: 60s }'), configOf('freshness: { ttl: 1m }')).changed,
    [],
  )
})

t.test('keys are told apart by what a reload can do', async t => {
  const before = configOf('http: { addr: ":1" }\nlog: { level: info }')
  const after = configOf('http: { addr: ":2" }\nlog: { level: debug }')
  t.same(compareConfigs(before, after), { changed: ['log.level'], needsRestart: ['http.addr'] })
})

t.test('an upstream that comes or goes is one change; one that stays has its keys', async t => {
  const before = configOf(
    'upstreams: { docker.io: { ttl: 1m, url: "https://a.example" }, quay.io: { ttl: 1m } }',
  )
  const after = configOf('upstreams: { docker.io: { ttl: 2m }, ghcr.io: { ttl: 1m } }')
  const { changed, needsRestart } = compareConfigs(before, after)
  t.same(changed.toSorted(), [
    'upstreams.docker.io.ttl',
    'upstreams.docker.io.url',
    'upstreams.ghcr.io',
    'upstreams.quay.io',
  ])
  t.same(needsRestart, [])
})

t.test('a new password in the same file is a change', async t => {
  const text =
    'upstreams: { docker.io: { username: u, passwordfile: /p } }\nhttp: { addr: "127.0.0.1:5000" }'
  const load = (password: string) => configOf(text, { files: { '/p': password } })
  t.same(compareConfigs(load('one'), load('two')).changed, ['upstreams.docker.io.passwordfile'])
})

t.test('a new password in the environment is a change', async t => {
  const text = 'upstreams: { docker.io: { username: u } }\nhttp: { addr: "127.0.0.1:5000" }'
  const load = (password: string) =>
    configOf(text, { env: { ENTREPOT_UPSTREAMS_DOCKER_IO_PASSWORD: password } })
  t.same(compareConfigs(load('one'), load('two')).changed, ['upstreams.docker.io.password'])
  t.same(compareConfigs(load('one'), load('one')).changed, [])
})
