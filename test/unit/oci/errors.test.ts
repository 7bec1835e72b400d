// Goal: error codes and statuses are those that clients were written against. Method: the table of
// the requirements, written out here by hand, is compared with the one in the code; the envelope is
// read back as JSON.
import t from 'tap'
import { ERROR_CODES, errorEnvelope, RegistryError } from '../../../src/oci/errors.ts'

const EXPECTED: Record<string, number> = {
  BLOB_UNKNOWN: 404,
  BLOB_UPLOAD_UNKNOWN: 404,
  BLOB_UPLOAD_INVALID: 404,
  DIGEST_INVALID: 400,
  MANIFEST_BLOB_UNKNOWN: 400,
  MANIFEST_INVALID: 400,
  MANIFEST_UNKNOWN: 404,
  NAME_INVALID: 400,
  TAG_INVALID: 400,
  NAME_UNKNOWN: 404,
  SIZE_INVALID: 400,
  UNAUTHORIZED: 401,
  DENIED: 403,
  UNSUPPORTED: 405,
  TOOMANYREQUESTS: 429,
  RANGE_INVALID: 416,
  PAGINATION_NUMBER_INVALID: 400,
  UNKNOWN: 500,
  UNAVAILABLE: 503,
}

t.test('R122: every code has the status of the specification, and there are no others', async t => {
  const statuses = Object.entries(ERROR_CODES).map(([code, { status }]) => [code, status])
  t.same(Object.fromEntries(statuses), EXPECTED)
})

t.test(
  'R121: the envelope holds code, message and detail, and no detail when there is none',
  async t => {
    const plain = new RegistryError('MANIFEST_UNKNOWN')
    t.same(JSON.parse(errorEnvelope(plain)), {
      errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown to registry' }],
    })
    const detailed = new RegistryError('DENIED', 'ask the operator', { detail: { tag: 'v1' } })
    t.same(JSON.parse(errorEnvelope(detailed)), {
      errors: [{ code: 'DENIED', message: 'ask the operator', detail: { tag: 'v1' } }],
    })
  },
)

t.test('R123: the cause of an error is not shown to the client', async t => {
  const error = new RegistryError('UNKNOWN', undefined, { cause: new Error('password=canary') })
  t.notMatch(errorEnvelope(error), /canary/)
})

t.test('R126: a status of its own replaces that of the table', async t => {
  t.equal(new RegistryError('MANIFEST_INVALID', 'too large', { status: 413 }).status, 413)
})
