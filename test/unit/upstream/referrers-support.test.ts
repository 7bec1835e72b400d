// Goal: answers that are none of the referrers API's count as lasting only while they follow each
// other (R257). Method: the memory of them alone, at times that the test gives.
import t from 'tap'
import type { RepositoryName } from '../../../src/oci/reference.ts'
import { createReferrersSupport } from '../../../src/upstream/endpoint/referrers-support.ts'

const name = 'team/app' as RepositoryName
const HOUR_MS = 3_600_000

t.test('R257: two odd answers hours apart have not lasted, two within minutes have', async t => {
  const ability = createReferrersSupport()
  t.equal(ability.isLasting(name, 0), false)
  t.equal(ability.isLasting(name, 61_000), true)
  t.equal(ability.isLasting(name, 6 * HOUR_MS), false)
  t.equal(ability.isLasting(name, 6 * HOUR_MS + 61_000), true)
  ability.seen(name)
  t.equal(ability.isLasting(name, 6 * HOUR_MS + 62_000), false)
})
