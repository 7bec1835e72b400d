// Goal: no header of an answer gets lost or is taken for another. Method: raw lists, as they come
// from the wire.
import t from 'tap'
import { contentLength, responseHeaders } from '../../../src/upstream/connect/response-headers.ts'

t.test('R230: headers are found in any case, each of several, in order', async t => {
  const headers = responseHeaders([
    'WWW-Authenticate',
    'Basic',
    'Link',
    'x',
    'www-AUTHENTICATE',
    'Bearer',
  ])
  t.same(headers.all('www-authenticate'), ['Basic', 'Bearer'])
  t.equal(headers.first('www-authenticate'), 'Basic')
  t.equal(headers.first('etag'), undefined)
  t.same(headers.all('etag'), [])
})

t.test('R187: a length is a safe whole number or unknown', async t => {
  const lengthOf = (text: string) => contentLength(responseHeaders(['content-length', text]))
  t.equal(lengthOf('0'), 0)
  t.equal(lengthOf('9007199254740991'), Number.MAX_SAFE_INTEGER)
  for (const text of ['9007199254740993', '-1', '1e9', '1.5', '', '0x10']) {
    t.equal(lengthOf(text), undefined, text)
  }
})
