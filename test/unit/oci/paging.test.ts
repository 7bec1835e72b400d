// Goal: pages of lists are asked for and linked as clients and upstreams do it. Method: tables.
import t from 'tap'
import { formatNextLink, parseLinks, parsePaging } from '../../../src/oci/paging.ts'

const limits = { defaultLimit: 100, maxLimit: 1_000 }
const paging = (query: string) => parsePaging(new URLSearchParams(query), limits)

t.test('R66: n and last, n of nothing, n above the limit', async t => {
  t.same(paging(''), { limit: 100, after: undefined })
  t.same(paging('n=&last='), { limit: 100, after: undefined })
  t.same(paging('n=0'), { limit: 0, after: undefined })
  t.same(paging('n=5&last=v1%2B'), { limit: 5, after: 'v1+' })
  t.equal(paging('n=1001').limit, 1_000)
  t.equal(paging(`n=${'9'.repeat(400)}`).limit, 1_000)
})

t.test('R66: n that is negative or no number is refused', async t => {
  for (const n of ['-1', 'x', '1.5', '1e3', '0x10', '%201', '+5', 'NaN', '١']) {
    t.throws(() => paging(`n=${n}`), { code: 'PAGINATION_NUMBER_INVALID' }, n)
  }
})

t.test('R67: the next page is linked by a path, with last encoded and ns kept', async t => {
  const query = new URLSearchParams('n=9999&ns=10.0.0.1:5000&last=a&other=x')
  t.equal(
    formatNextLink('/docker.io/v2/a/tags/list', query, { limit: 1_000, last: 'a&b="c>' }),
    '</docker.io/v2/a/tags/list?n=1000&last=a%26b%3D%22c%3E&ns=10.0.0.1%3A5000>; rel="next"',
  )
  t.notMatch(formatNextLink('/v2/_catalog', new URLSearchParams(), { limit: 1, last: 'a' }), /ns/)
})

t.test('R68: links of an upstream, several in one header and in several headers', async t => {
  const values = [
    '</v2/a/tags/list?next_page=a,b;c%3D>; rel="next"; title="<x>, y"',
    '<https://edge/x> ;rel=prev , <y>; title="rel=next"; REL = "first NEXT"',
    '</z>',
  ]
  t.same(parseLinks(values), [
    { target: '/v2/a/tags/list?next_page=a,b;c%3D', relations: ['next'] },
    { target: 'https://edge/x', relations: ['prev'] },
    { target: 'y', relations: ['first', 'next'] },
    { target: '/z', relations: [] },
  ])
})

t.test('R68: what is no link is left out', async t => {
  t.same(parseLinks(['', 'x', '<x', 'x>; rel=next', ', ,']), [])
  t.same(parseLinks(['nonsense, </a>; rel=next']), [{ target: '/a', relations: ['next'] }])
})
