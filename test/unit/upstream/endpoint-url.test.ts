// Goal: registries behind a path are asked at that path, and their links followed. Method: URLs of
// each kind of base.
import t from 'tap'
import { parseHost, parseName } from '../../../src/oci/reference.ts'
import { endpointUrls } from '../../../src/upstream/endpoint/endpoint-url.ts'

const NAME = parseName('library/alpine')

t.test('R164: the configured path goes before v2, and what follows v2 before the name', async t => {
  const cases = [
    ['https://r.example', '/v2/library/alpine/tags/list'],
    ['https://r.example/', '/v2/library/alpine/tags/list'],
    ['https://r.example/v2/', '/v2/library/alpine/tags/list'],
    ['https://r.example/a/b/', '/a/b/v2/library/alpine/tags/list'],
    ['https://r.example/v2/hub', '/v2/hub/library/alpine/tags/list'],
    ['https://r.example/a/v2/hub/', '/a/v2/hub/library/alpine/tags/list'],
  ] as const
  for (const [base, path] of cases) {
    t.equal(endpointUrls(new URL(base), undefined).for(NAME, 'tags/list').pathname, path, base)
  }
  const behind = endpointUrls(new URL('https://r.example/v2/hub'), undefined)
  t.equal(behind.nameOf(NAME), 'hub/library/alpine')
  t.equal(behind.ping.pathname, '/v2/')
})

t.test('R164: a link that leaves out the configured path is completed', async t => {
  const urls = endpointUrls(new URL('https://r.example/art/api'), undefined)
  const page = urls.for(NAME, 'tags/list')
  const next = (target: string) => urls.leadsTo(target, page)?.href
  t.equal(next('/v2/x/tags/list?last=b'), 'https://r.example/art/api/v2/x/tags/list?last=b')
  t.equal(next('/art/api/v2/x/tags/list'), 'https://r.example/art/api/v2/x/tags/list')
  t.equal(next('?last=b'), 'https://r.example/art/api/v2/library/alpine/tags/list?last=b')
  t.equal(next('http://['), undefined)
  t.equal(next('//cdn.example/v2/x'), 'https://cdn.example/v2/x', 'another host has its own')
})

t.test('a mirror is told which registry is meant, on every page', async t => {
  const urls = endpointUrls(new URL('https://mirror.example'), parseHost('docker.io'))
  const page = urls.for(NAME, 'tags/list', { n: '5' })
  t.equal(page.search, '?n=5&ns=docker.io')
  t.equal(urls.leadsTo('/v2/x/tags/list?n=5', page)?.search, '?n=5&ns=docker.io')
})
