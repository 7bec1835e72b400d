// Goal: everything that a list has is gone through once, in its order, and others have their turn
// in between. Method: a list of numbers behind the port's shape, which counts how it is asked.
import t from 'tap'
import { pagesOf, rowsOf } from '../../../../src/registry/pacing/pages.ts'

function listOf(size: number) {
  const asked: (number | undefined)[] = []
  const list = async ({ after, limit }: { after?: number; limit: number }) => {
    asked.push(after)
    const from = after === undefined ? 0 : after + 1
    return Array.from({ length: Math.min(limit, size - from) }, (_, at) => from + at)
  }
  return { asked, list }
}

for (const size of [0, 1, 2, 3, 4, 7])
  t.test(`a list of ${size} is gone through once`, async t => {
    const { asked, list } = listOf(size)
    const rows: number[] = []
    for await (const row of rowsOf<number, number>(list, last => last, 2)) rows.push(row)
    t.strictSame(
      rows,
      Array.from({ length: size }, (_, at) => at),
    )
    t.equal(asked[0], undefined)
    t.ok(asked.length <= size / 2 + 1)
  })

t.test('no page is empty, and whoever has enough is asked for no more', async t => {
  const { asked, list } = listOf(4)
  const pages: (readonly number[])[] = []
  for await (const page of pagesOf<number, number>(
    list,
    last => last,
    () => 2,
  )) {
    pages.push(page)
    if (pages.length === 1) t.equal(asked.length, 1)
  }
  t.strictSame(pages, [
    [0, 1],
    [2, 3],
  ])
})

t.test('others have their turn between two pages', async t => {
  const { list } = listOf(4)
  const seen: string[] = []
  setImmediate(() => seen.push('others'))
  for await (const [first] of pagesOf<number, number>(
    list,
    last => last,
    () => 2,
  ))
    seen.push(`${first}`)
  t.strictSame(seen, ['0', 'others', '2'])
})
