// Goal: who never ends the head of a request is told so and loses the connection (R711), whatever
// the connection was used for before. Method: node's own timer, over sockets on loopback, with the
// limits of the port a hundredth as long.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { Revision } from '../../../src/access/revision.ts'
import { PLAIN } from '../../../src/http/data-server.ts'
import { OperatorDoor } from '../../../src/server/operator-door.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { closeServer } from '../../kit/loopback.ts'
import { createTestApp, openSocket } from '../../kit/worlds/http-app.ts'

const HUNDREDTH = 0.01
const unasked = () => Promise.reject(new Error('nobody has logged in'))
const WHOLE = 'GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n'

t.test('R711: a head that comes byte by byte is 408, the first of a connection or not', async t => {
  const limits: unknown[] = []
  const { listen, metrics } = createTestApp(t, {
    transport: {
      ...PLAIN,
      createServer: options => {
        const { headersTimeout = 0, connectionsCheckingInterval = 0 } = options
        limits.push(headersTimeout, connectionsCheckingInterval)
        return PLAIN.createServer({
          ...options,
          headersTimeout: headersTimeout * HUNDREDTH,
          connectionsCheckingInterval: connectionsCheckingInterval * HUNDREDTH,
        })
      },
    },
  })
  const url = await listen()
  t.same(limits, [10_000, 5_000])
  for (const before of ['', WHOLE]) {
    const { socket, until, received } = await openSocket(url)
    socket.write(before)
    if (before !== '') await until('HTTP/1.1 200 OK')
    const refused = until('the request came too slowly')
    socket.write('GET /v2/ HTTP/1.1\r\nX-Slow: ')
    // It is never silent for long.
    const trickle = () => {
      if (!received().includes('408')) socket.write('a', () => setImmediate(trickle))
    }
    trickle()
    await refused
    t.match(received(), /HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*Connection: close\r\n/)
    t.match(received(), /"errors":/)
  }
  const { text } = await metrics.render()
  t.match(text, 'entrepot_requests_refused_total{reason="malformed"} 2')
})

t.test('R711: so it is at the operator’s API, whose requests have no body either', async t => {
  const clock = createManualClock()
  const door = new OperatorDoor({
    accounts: { verify: unasked, readToken: unasked, issueToken: unasked },
    clock,
    logger: { warn: () => {} },
    metrics: createMetrics({ version: 'test', nodeVersion: 'test', sleep: clock.sleep }),
    dataPort: {
      revision: new Revision(),
      settings: {
        access: { hosts: undefined, rules: [], localPushOff: undefined, serverUid: 0 },
        tls: undefined,
      },
    },
  })
  const server = door.createServer((_request, response) => response.end())
  const { headersTimeout, requestTimeout } = server
  t.same([headersTimeout, requestTimeout], [10_000, 10_000])
  server.headersTimeout = headersTimeout * HUNDREDTH
  server.requestTimeout = requestTimeout * HUNDREDTH
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => closeServer(server))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const heads = ['', 'GET /api/v1/status HTTP/1.1\r\nX-Slow: ']
  await Promise.all(
    heads.map(async head => {
      const { socket, received, ended } = await openSocket(url)
      socket.write(head)
      await ended
      t.match(received(), /^HTTP\/1\.1 408 /)
    }),
  )
})
