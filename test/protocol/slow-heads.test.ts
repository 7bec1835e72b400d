// Goal: who never ends the head of a request is told so and loses the connection (R711), whatever
// the connection was used for before. Method: node's own timer, over sockets on loopback, with the
// limits of the port a hundredth as long.
import t from 'tap'
import { PLAIN } from '../../src/http/data-server.ts'
import { createTestApp, openSocket } from '../kit/http-app.ts'

const HUNDREDTH = 0.01
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
