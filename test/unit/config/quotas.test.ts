// Goal: quotas arrive as they were written, and what can't be what somebody meant is told with its
// line and a way out. Method: texts loaded as files, and the lines that the operator reads.
import t from 'tap'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { complaints, configOf } from '../../kit/load-text.ts'

const storage = (maxsize: string) => `storage: { maxsize: ${maxsize} }\n`

t.test('quotas of upstreams and of rules arrive, in sizes and in shares', async t => {
  const { upstreams, repositories } = configOf(`
upstreams:
  docker.io: { quota: { ceiling: 20GiB, floor: 10% } }
  ghcr.io: {}
repositories:
  - { match: "docker.io/library/**", quota: { floor: 1GiB } }
`)
  t.match(
    upstreams.map(({ quota }) => quota),
    [
      {
        ceiling: { kind: 'bytes', bytes: 20 * 2 ** 30 },
        floor: { kind: 'share', share: 0.1 },
      },
      undefined,
    ],
  )
  t.match(repositories[0], { push: 'deny', quota: { floor: { kind: 'bytes', bytes: 2 ** 30 } } })
})

t.test('a quota above the limit is told', async t => {
  const quota = (text: string) => `upstreams: { docker.io: { quota: { ceiling: ${text} } } }`
  t.same(complaints(`${storage('10GiB')}${quota('20GiB')}`), [
    'edge.yaml:2:45: warning: upstreams.docker.io.quota.ceiling: is above storage.maxsize, which is 10GiB (did you mean 10GiB?)',
  ])
  t.same(complaints(`${storage('80%')}${quota('20GiB')}`), [], 'that is for the disk to say')
  const disk = { totalBytes: 20 * 2 ** 30 }
  t.same(complaints(`${storage('80%')}${quota('20GiB')}`, { disk }), [
    'edge.yaml:2:45: warning: upstreams.docker.io.quota.ceiling: is above storage.maxsize, which is 80% of the file system (did you mean 100%?)',
  ])
  t.same(complaints(`${storage('80%')}${quota('15GiB')}`, { disk }), [])
})

t.test('a floor above its ceiling is told', async t => {
  t.same(
    complaints(`
repositories:
  - { match: "**", quota: { ceiling: 1GiB, floor: 2GiB } }
`),
    [
      'edge.yaml:3:51: warning: repositories[0].quota.floor: is above the ceiling, which counts (did you mean 1GiB?)',
    ],
  )
})

t.test('floors that come to more than there is are told at the last', async t => {
  const floors = (docker: string, ghcr: string) => `
upstreams:
  docker.io: { quota: { floor: ${docker} } }
  ghcr.io: { quota: { floor: ${ghcr} } }
`
  t.same(complaints(`${storage('10GiB')}${floors('6GiB', '50%')}`), [
    'edge.yaml:5:30: warning: upstreams.ghcr.io.quota.floor: makes all floors come to more than storage.maxsize: then nothing of these leaves for each other, and what else is pulled is passed on; lower one of them',
  ])
  t.same(complaints(`${storage('10GiB')}${floors('5GiB', '50%')}`), [])
  t.same(complaints(`${storage('80%')}${floors('60GiB', '50%')}`), [])
})

t.test('a quota of a rule that changes is told at a reload', async t => {
  const rule = (floor: string) =>
    configOf(`repositories: [{ match: "docker.io/**", quota: { floor: ${floor} } }]`)
  const { changed, needsRestart } = compareConfigs(rule('1GiB'), rule('2GiB'))
  t.same([changed, needsRestart], [['repositories'], []])
})

t.test('a quota is of one registry, and not of all that clients name', async t => {
  t.same(complaints('upstreams: { "*": { quota: { ceiling: 1GiB } } }'), [
    'edge.yaml:1:28: error: upstreams.*.quota: is for one registry; list that registry by its host',
  ])
})

t.test('a quota of what is kept changes nothing, as is told', async t => {
  const rule = (match: string, push: string) =>
    complaints(`repositories: [{ match: "${match}", push: ${push}, quota: { ceiling: 1GiB } }]`)
  t.match(rule('localhost/ci/**', 'store'), [
    /repositories\[0\]\.quota: changes nothing: what is pushed here stays/,
  ])
  t.same(rule('docker.io/**', 'store'), [])
  t.same(rule('**', 'deny'), [])
})

t.test('a quota that is written otherwise is told with its keys', async t => {
  const quota = (text: string) => complaints(`upstreams: { docker.io: { quota: ${text} } }`)
  t.match(quota('20GiB'), [/quota: must hold keys with values: ceiling, floor$/])
  t.match(quota('{ max: 20GiB }'), [/max: there is no such key; here are ceiling, floor$/])
})
