// Goal: the data port is where it was told to be: alone, beside another of its kind, or behind TLS.
// Method: real sockets on loopback; the TLS is node's own, with a certificate made for the test.
import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:tls'
import t from 'tap'
import { makeCertificate } from '../../kit/certificate.ts'
import { createTestApp } from '../../kit/worlds/http-app.ts'

t.test('buildApp: two that say so share a port, and one that does not is refused it', async t => {
  const [first, second, third] = [createTestApp(t), createTestApp(t), createTestApp(t)]
  const host = '127.0.0.1'
  await first.app.listen({ host, port: 0, reusePort: true })
  const { port } = first.app.server.address() as AddressInfo
  await second.app.listen({ host, port, reusePort: true })
  t.equal((second.app.server.address() as AddressInfo).port, port)
  await t.rejects(third.app.listen({ host, port }), { code: 'EADDRINUSE' })
})

t.test('buildApp: behind TLS it answers, and a close ends what is idle there too', async t => {
  const { key, cert, ca } = makeCertificate()
  const transport = {
    createServer: (options: object) => createServer({ ...options, key, cert }),
    connected: 'secureConnection',
  } as const
  const { app } = createTestApp(t, { transport })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const used = connect({ host: '127.0.0.1', port, ca })
  const unused = connect({ host: '127.0.0.1', port, ca })
  await Promise.all([once(used, 'secureConnect'), once(unused, 'secureConnect')])
  used.write('GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const [piece] = (await once(used, 'data')) as [Buffer]
  t.match(piece.toString(), /^HTTP\/1\.1 200 OK\r\n/)

  const gone = [used, unused].map(socket => once(socket.on('error', () => {}).resume(), 'close'))
  await app.close()
  await Promise.all(gone)
  t.pass('both ended')
})
