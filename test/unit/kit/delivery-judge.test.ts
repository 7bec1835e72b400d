// Goal: the judge of the queue's fault suite sees every way in which an upstream may have got
// something else than was acknowledged. Method: what an upstream has is written down by hand, once
// as it must be and once with each fault.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { bytesContent } from '../../kit/content.ts'
import { judgeDelivery, type PushedRepository } from '../../kit/judges/delivery-judge.ts'
import { createStubContent } from '../../kit/stubs/stub-content.ts'

const NAME = 'team/app'
const BLOB = bytesContent(Buffer.from('a layer'))
const IMAGES = ['one', 'two', 'three'].map(text => {
  const bytes = Buffer.from(text)
  return { digest: digestOf(bytes), mediaType: 'application/json', bytes }
})

/** The images of these numbers; those of `acknowledged`, by default all, were. */
function pushed(acknowledged: readonly number[] = [0, 1, 2]): PushedRepository {
  const images = IMAGES.map(({ digest }, index) => {
    return { digest, blobs: [BLOB.digest], isAcknowledged: acknowledged.includes(index) }
  })
  return { name: NAME, tag: 'latest', images }
}

/**
 * An upstream to which the images of these numbers were put, each by its digest, and the tag for
 * each of `tags`.
 */
function upstream(order: readonly number[], tags: readonly number[]) {
  const content = createStubContent()
  content.addBlob(NAME, BLOB)
  for (const number of order) put(number)
  for (const number of tags) put(number, 'latest')
  return content.repositories.get(NAME)

  function put(number: number, tag?: string): void {
    const image = IMAGES[number]
    if (image !== undefined) content.addDocument(NAME, tag, image)
  }
}

t.test('all of it, in order, some of it twice: no fault', async t => {
  t.same(judgeDelivery(pushed(), upstream([0, 1, 0, 2, 2], [0, 0, 1, 2])), [])
})

t.test('a tag may pass over an image, and be at one that was not acknowledged', async t => {
  t.same(judgeDelivery(pushed(), upstream([0, 1, 2], [0, 2])), [])
  t.same(judgeDelivery(pushed([0, 1]), upstream([0, 1, 2], [1, 2])), [])
  t.same(judgeDelivery(pushed([0, 1]), upstream([0, 1], [1])), [])
})

t.test('a tag that went back is seen, also when it is right in the end', async t => {
  t.same(judgeDelivery(pushed(), upstream([0, 1, 2], [0, 1, 0, 2])), [
    'team/app: latest went back: 0 1 0 2',
  ])
  t.same(judgeDelivery(pushed(), upstream([0, 1, 2], [0, 1, 2, 1])), [
    'team/app: latest went back: 0 1 2 1',
    'team/app: latest is at image 1, and 2 was acknowledged last',
  ])
})

t.test('an image that is missing is seen', async t => {
  t.same(judgeDelivery(pushed(), upstream([0, 2], [0, 2])), [
    'team/app: image 1 was acknowledged and is not there',
    'team/app: image 1 was acknowledged and never put by its digest',
  ])
  const nothing = judgeDelivery(pushed(), undefined)
  t.equal(nothing.filter(fault => fault.includes('is not there')).length, 6, 'blobs as well')
  t.match(nothing.at(-1), /latest is at image -1, and 2 was acknowledged last/)
})

t.test('an image that came by its tag alone is seen', async t => {
  t.same(judgeDelivery(pushed(), upstream([0, 1], [0, 1, 2])), [
    'team/app: image 2 was acknowledged and never put by its digest',
  ])
})

t.test('another order is seen, and so is what nobody pushed', async t => {
  t.same(judgeDelivery(pushed(), upstream([1, 0, 2], [2])), [
    'team/app: images came in the order 1 0 2',
  ])
  const [, , third] = IMAGES
  const { images, ...rest } = pushed()
  const faults = judgeDelivery({ ...rest, images: images.slice(0, 2) }, upstream([0, 1, 2], [0, 1]))
  t.match(faults[0], `${third?.digest} is there and was never pushed`)
})
