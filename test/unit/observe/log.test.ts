// Goal: no secret and no broken line in the log. Method: canary words in all the places where
// secrets may stand, lines read back.
import fc from 'fast-check'
import t from 'tap'
import { seeding } from '../../kit/arbitraries.ts'
import { createLogger } from '../../../src/observe/log.ts'
import { createNoteRequest, type RequestSummary } from '../../../src/observe/note-request.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { LOG_TEXT_MAX_LENGTH, redactText } from '../../../src/observe/redact.ts'

function withLog() {
  const written: string[] = []
  const logger = createLogger({
    level: 'debug',
    destination: { write: line => written.push(line) },
  })
  const metrics = createMetrics({
    version: '1',
    nodeVersion: '26',
    sleep: async () => {},
    process: false,
  })
  return {
    logger,
    metrics,
    written,
    last: () => JSON.parse(written.at(-1) ?? '{}') as Record<string, unknown>,
  }
}

const SUMMARY: RequestSummary = {
  requestId: 'id-1',
  method: 'GET',
  endpoint: 'blob',
  repository: 'docker.io/a/b',
  reference: 'latest',
  path: undefined,
  status: 200,
  source: 'hit',
  sentBytes: 10,
  receivedBytes: 0,
  durationMs: 1.26,
  outcome: 'completed',
  error: undefined,
  client: '127.0.0.1',
  userAgent: 'docker/29',
}

t.test('R195: headers and options that are secrets are taken out by name', async t => {
  const { logger, written } = withLog()
  logger.info(
    {
      headers: {
        authorization: 'canary',
        cookie: 'canary',
        'set-cookie': 'canary',
        'proxy-authorization': 'canary',
      },
    },
    'x',
  )
  logger.info(
    {
      request: { headers: { authorization: 'canary' } },
      response: { headers: { 'set-cookie': 'canary' } },
    },
    'x',
  )
  logger.info(
    { authorization: 'canary', password: 'canary', token: 'canary', secret: 'canary' },
    'x',
  )
  t.notMatch(written.join(''), /canary/)
  t.match(written.join(''), /\[redacted\]/)
})

t.test('R195: errors and URLs lose credentials and queries, causes too', async t => {
  const { logger, written, last } = withLog()
  const cause = new Error(
    'GET https://user:canary@cdn.example/blob?X-Amz-Signature=canary&sig=canary refused',
  )
  logger.error({ error: new Error('Authorization: Bearer canarycanary', { cause }) }, 'x')
  for (const header of [
    'Basic Y2FuYXJ5OmNhbmFyeQ==',
    'basic Y2FuYXJ5OmNhbmFyeQ==',
    'bearer canary12',
  ])
    logger.warn({ error: new Error(`sent ${header} to it`) }, 'x')
  logger.info({ url: 'https://cdn.example/blob?token=canary' }, 'x')
  t.notMatch(written.join(''), /Y2FuYXJ5/)
  t.notMatch(written.join(''), /canary/)
  t.equal(last()['url'], 'https://cdn.example/blob?[redacted]')
})

t.test(
  'an error in the log has its type, code, hint and trace, and a cycle of causes ends',
  async t => {
    const { logger, last } = withLog()
    const error = Object.assign(new Error('disk'), { code: 'EIO', hint: 'look at the disk' })
    error.cause = error
    logger.error({ error }, 'x')
    t.match(last()['error'], {
      type: 'Error',
      message: 'disk',
      code: 'EIO',
      hint: 'look at the disk',
      stack: /at /,
    })
  },
)

t.test('redactText never throws, and keeps to its length', async () => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 2_000 }),
      text => redactText(text).length <= LOG_TEXT_MAX_LENGTH * 3,
    ),
    { ...seeding(), numRuns: 200 },
  )
})

t.test('a request is one line with its fields', async t => {
  const { logger, metrics, written, last } = withLog()
  createNoteRequest({ logger, metrics })(SUMMARY)
  t.equal(written.length, 1)
  t.match(last(), {
    level: 'info',
    msg: 'request completed',
    requestId: 'id-1',
    method: 'GET',
    endpoint: 'blob',
    repository: 'docker.io/a/b',
    reference: 'latest',
    status: 200,
    source: 'hit',
    sentBytes: 10,
    durationMs: 1.3,
    outcome: 'completed',
    client: '127.0.0.1',
    userAgent: 'docker/29',
  })
})

t.test('whatever a client sends as its name, the line is one line of JSON and bounded', async t => {
  const { logger, metrics, written } = withLog()
  const note = createNoteRequest({ logger, metrics })
  const nasty = ['\u001b[31m', 'a\r\nb', '"}', 'x'.repeat(70_000), '\u2028', '\u0000']
  for (const userAgent of nasty)
    note({ ...SUMMARY, userAgent, repository: userAgent, path: userAgent })
  for (const line of written) {
    t.equal(line.indexOf('\n'), line.length - 1)
    t.ok(Buffer.from(line.slice(0, -1)).every(byte => byte >= 0x20))
    t.ok(line.length < 4_096)
    JSON.parse(line)
  }
})

t.test(
  'R52: an aborted answer is info; a failed one warns; 500 is an error with its trace; a refusal has no trace',
  async t => {
    const { logger, metrics, last } = withLog()
    const note = createNoteRequest({ logger, metrics })
    note({ ...SUMMARY, outcome: 'aborted' })
    t.equal(last()['level'], 'info')
    note({ ...SUMMARY, outcome: 'failed', error: new Error('cut') })
    t.match(last(), { level: 'warn', error: { message: 'cut', stack: /at / } })
    note({ ...SUMMARY, status: 500, outcome: 'failed', error: new Error('bug') })
    t.equal(last()['level'], 'error')
    note({
      ...SUMMARY,
      status: 404,
      error: Object.assign(new Error('unknown'), { code: 'BLOB_UNKNOWN' }),
    })
    t.match(last(), {
      level: 'info',
      errorCode: 'BLOB_UNKNOWN',
      errorMessage: 'unknown',
      error: undefined,
    })
  },
)

t.test('bytes count for their source, and as saved when the WAN did not carry them', async t => {
  const { logger, metrics } = withLog()
  const note = createNoteRequest({ logger, metrics })
  note({ ...SUMMARY, source: 'hit', sentBytes: 100 })
  note({ ...SUMMARY, source: 'joined', sentBytes: 10 })
  note({ ...SUMMARY, source: 'stale', sentBytes: 20_000 })
  note({ ...SUMMARY, source: 'local', sentBytes: 300_000 })
  note({ ...SUMMARY, source: 'miss', sentBytes: 1_000 })
  note({ ...SUMMARY, source: 'none', sentBytes: 5 })
  const { text } = await metrics.render()
  t.match(text, /^entrepot_wan_saved_bytes_total 20110$/m)
  t.match(text, /^entrepot_client_bytes_total\{source="miss"\} 1000$/m)
  t.notMatch(text, /client_bytes_total\{source="none"\}/)
})

t.test(
  'a push that the upstream refused warns with the hint: the credentials are ours',
  async t => {
    const { logger, metrics, last } = withLog()
    const note = createNoteRequest({ logger, metrics })
    const hint = 'check the credentials of this upstream'
    const cause = Object.assign(new Error('401'), { name: 'UpstreamError', hint })
    const error = Object.assign(new Error('a.example refused'), { code: 'DENIED', cause })
    note({ ...SUMMARY, method: 'PUT', status: 403, error })
    t.match(last(), {
      level: 'warn',
      errorCode: 'DENIED',
      error: { message: 'a.example refused', cause: { hint: /credentials/ } },
    })
    note({
      ...SUMMARY,
      method: 'PUT',
      status: 403,
      error: Object.assign(new Error('not from here'), { code: 'DENIED' }),
    })
    t.equal(last()['level'], 'info', 'who may not push is refused by rule')
    note({ ...SUMMARY, method: 'GET', status: 403, error })
    t.equal(last()['level'], 'info', 'a pull of a name that nobody has looks the same')
  },
)

t.test('requests are counted by method, and what they brought by its bytes', async t => {
  const { logger, metrics } = withLog()
  const note = createNoteRequest({ logger, metrics })
  for (const method of ['PATCH', 'PUT', 'BREW']) {
    note({ ...SUMMARY, method, endpoint: 'upload', source: 'none', receivedBytes: 500 })
  }
  const { text } = await metrics.render()
  for (const method of ['PATCH', 'PUT', 'other']) {
    t.match(text, new RegExp(`requests_total\\{endpoint="upload",method="${method}".*\\} 1`))
  }
  t.match(text, /^entrepot_received_bytes_total 1500$/m)
  const seconds = (SUMMARY.durationMs * 3) / 1000
  const sum = /^entrepot_request_duration_seconds_sum\{endpoint="upload",.*\} (.*)$/m.exec(text)
  t.equal(Number(sum?.[1]).toFixed(9), seconds.toFixed(9), 'durations are in seconds')
})
