// Goal: which word of a tag counts when a bundle brings another. Method: the rule alone, over what
// an edge may know of a tag.
import t from 'tap'
import { digestOf } from '../../../../src/oci/digest.ts'
import type { Tag } from '../../../../src/oci/reference.ts'
import { judgeImportedTag, orderByClock } from '../../../../src/registry/content/imported-tag.ts'
import type { RecordedTag } from '../../../../src/registry/ports/catalog-tags.ts'
import type { Order } from '../../../../src/registry/ports/order.ts'

const before = digestOf(Buffer.from('before'))
const after = digestOf(Buffer.from('after'))
const pushedAt = (edge: string, number: number): Order => ({ edge, number })

function known(more: Partial<RecordedTag>): RecordedTag {
  const times = { checkedAtMs: 1_000, changedAtMs: 500 }
  return {
    tag: 'v1' as Tag,
    digest: before,
    previous: undefined,
    local: false,
    ...times,
    ...more,
  }
}

const judge = (here: RecordedTag | undefined, order: Order, isImmutable = false) =>
  judgeImportedTag(
    here,
    { digest: after, order },
    { identity: 'here', isImmutable, isAsked: false },
  )

t.test('R891: of one edge the later push counts, and of one clock the later time', async t => {
  t.equal(judge(undefined, pushedAt('a', 1)), 'new')
  t.equal(judge(known({ order: pushedAt('a', 4) }), pushedAt('a', 5)), 'moved')
  t.equal(judge(known({ order: pushedAt('a', 4) }), pushedAt('a', 3)), 'older')
  t.equal(judge(known({ order: orderByClock('a', 4) }), orderByClock('a', 5)), 'moved')
  t.equal(judge(known({ order: orderByClock('a', 4) }), orderByClock('b', 3)), 'older')
  t.equal(judge(known({ digest: after, order: pushedAt('a', 4) }), pushedAt('a', 3)), 'same')
  t.same(orderByClock(orderByClock('a', 4).edge, 5), orderByClock('a', 5), 'also carried on')
})

t.test('R891: what was pushed here stays, and what an upstream said later', async t => {
  t.equal(
    judge(known({ local: true, order: pushedAt('here', 1) }), pushedAt('a', 9)),
    'pushed here',
  )
  t.equal(judge(known({ local: true }), orderByClock('a', 9_000)), 'pushed here')
  const own = known({ local: true, order: pushedAt('here', 1) })
  t.equal(judge(own, pushedAt('here', 9)), 'pushed here', 'a bundle says so, and nobody else')
  t.equal(judge(known({}), orderByClock('a', 999)), 'older')
  t.equal(judge(known({}), orderByClock('a', 1_001)), 'moved')
  t.equal(judge(known({}), pushedAt('a', 1)), 'moved', 'nothing tells which is later')
})

t.test('R935: what an upstream that is asked has said moves by no bundle', async t => {
  const says = (here: RecordedTag, order: Order) =>
    judgeImportedTag(
      here,
      { digest: after, order },
      { identity: 'here', isImmutable: false, isAsked: true },
    )
  for (const order of [pushedAt('x', 1), orderByClock('x', 9_000)]) {
    t.equal(says(known({}), order), 'upstream')
    t.equal(says(known({ order: pushedAt('a', 4) }), order), 'upstream', 'confirmed since')
  }
  const imported = known({ order: pushedAt('a', 4), checkedAtMs: 500 })
  t.equal(says(imported, pushedAt('a', 5)), 'moved', 'nobody has confirmed it')
})

t.test('what is immutable does not move', async t => {
  t.equal(judge(known({ order: pushedAt('a', 4) }), pushedAt('a', 5), true), 'immutable')
  t.equal(judge(undefined, pushedAt('a', 5), true), 'new')
})
