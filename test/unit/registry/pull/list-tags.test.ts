// Goal: a page of tags costs what it shows, however many there are; pages lead through all of them,
// each once, wherever they come from. Method: the engine over in-memory twins; its catalog notes
// how many tags were read from it.
import t, { type Test } from 'tap'
import { parseTag, type Repository, type Tag } from '../../../../src/oci/reference.ts'
import type { RecordedTag } from '../../../../src/registry/ports/catalog-tags.ts'
import type { Catalog } from '../../../../src/registry/ports/catalog.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import { pushOf } from '../../../contract/catalog-samples.ts'
import { around } from '../../../kit/around.ts'
import { createEngine, localOf, repositoryOf } from '../../../kit/engine.ts'

const TAGS = 2_500
const PAGE = 1_100

const local = localOf('team/app')
const proxied = repositoryOf('team/app')

const tagsOf = (first: number, count: number): Tag[] =>
  Array.from({ length: count }, (_, n) => parseTag(`v${String(first + n).padStart(5, '0')}`))

/** `read`: tags that came out of the catalog. */
async function openEngine(
  repository: Repository,
  { pushed, ...options }: { pushed: Tag[]; upstream?: Partial<Upstream> },
) {
  let read = 0
  const counting = async (facts: Promise<readonly RecordedTag[]>) => {
    read += (await facts).length
    return facts
  }
  const counted = (catalog: Catalog): Catalog =>
    around(catalog, {
      listTags: listTags => (of, page) => counting(listTags(of, page)),
      listLocalTags: listLocalTags => (of, page) => counting(listLocalTags(of, page)),
    })
  const engine = createEngine({ ...options, catalog: counted })
  if (pushed.length > 0)
    await engine.catalog.recordPush(pushOf('one', { repository, tags: pushed }))
  return { ...engine, takeRead: () => [read, (read = 0)][0] as number }
}

async function allPages(
  t: Test,
  { registry, takeRead }: Awaited<ReturnType<typeof openEngine>>,
  repository: Repository,
) {
  const seen: string[] = []
  for (let after: string | undefined; ; after = seen.at(-1)) {
    const page = await registry.listTags(repository, { after, limit: PAGE })
    seen.push(...page.tags)
    t.ok(
      takeRead() <= PAGE + 1,
      'no more is read than is shown, and one to tell whether there is more',
    )
    if (!page.more) return seen
    t.equal(page.tags.length, PAGE)
  }
}

t.test('pages lead through what was pushed here, and each reads what it shows', async t => {
  const tags = tagsOf(0, TAGS)
  const engine = await openEngine(local, { pushed: tags })
  t.same(await allPages(t, engine, local), tags)
})

t.test('pages lead through the list of an upstream and what it does not hold yet', async t => {
  const [theirs, ours] = [tagsOf(500, 2_000), tagsOf(0, 1_500)]
  const upstream = { listTags: async () => ({ tags: theirs }) }
  const engine = await openEngine(proxied, { pushed: ours, upstream })
  t.same(await allPages(t, engine, proxied), tagsOf(0, TAGS))
})

t.test('behind the last tag the page is empty, which is no error', async t => {
  const refused = {
    listTags: () => Promise.reject(new UpstreamError('not-found', 'there is no such repository')),
  }
  const cases = [
    { repository: local, options: {} },
    { repository: proxied, options: { upstream: refused } },
  ]
  for (const { repository, options } of cases) {
    const { registry } = await openEngine(repository, { pushed: tagsOf(0, 3), ...options })
    t.match(await registry.listTags(repository, { after: 'w', limit: PAGE }), {
      tags: [],
      more: false,
    })
    await t.rejects(
      registry.listTags(
        { ...repository, name: repositoryOf('team/none').name },
        {
          after: undefined,
          limit: PAGE,
        },
      ),
      { code: 'NAME_UNKNOWN' },
    )
  }
})

t.test('a page of nothing is empty', async t => {
  const { registry } = await openEngine(local, { pushed: tagsOf(0, 3) })
  const page = await registry.listTags(local, { after: undefined, limit: 0 })
  t.same(page.tags, [])
})
