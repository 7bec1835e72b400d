// Goal: the table of well-known registries is complete and makes sense. Method: every profile
// against the rules of the table.
import t from 'tap'
import { hostFrom, parseHost } from '../../../src/oci/reference.ts'
import { GENERIC_PROFILE, PROFILES, profileOf } from '../../../src/upstream/profiles.ts'

t.test('R165: every registry that works without configuration has a profile', async t => {
  t.same(Object.keys(PROFILES).sort(), [
    'docker.io',
    'gcr.io',
    'ghcr.io',
    'mcr.microsoft.com',
    'nvcr.io',
    'public.ecr.aws',
    'quay.io',
    'registry.gitlab.com',
    'registry.k8s.io',
  ])
  t.equal(profileOf(parseHost('registry.corp.example')), GENERIC_PROFILE)
})

t.test(
  'R165: profiles are over https, their hosts are hosts, and no name stands for two',
  async t => {
    const names = Object.entries(PROFILES).flatMap(([host, profile]) => [host, ...profile.aliases])
    t.equal(new Set(names).size, names.length)
    for (const [host, profile] of Object.entries(PROFILES)) {
      t.equal(new URL(profile.apiUrl).protocol, 'https:', host)
      for (const name of [host, ...profile.aliases, ...profile.realmHosts])
        t.equal(hostFrom(name), name)
    }
  },
)

t.test('R69: no profile asks for more than 1,000 tags at once', async t => {
  for (const [host, { tagsPageMax }] of Object.entries(PROFILES)) t.ok(tagsPageMax <= 1_000, host)
})

t.test('R154: Docker Hub is asked at its API host', async t => {
  t.match(PROFILES['docker.io'], {
    apiUrl: 'https://registry-1.docker.io',
    realmHosts: ['auth.docker.io'],
    remainingHeader: 'ratelimit-remaining',
  })
})
