// Goal: what a test writes on a connection over TLS as soon as it has it arrives. Method: a server
// of node that answers requests, and hangs up on whoever sends none; with the oldest Node too,
// which loses what is written at another moment.
import { createServer } from 'node:https'
import t from 'tap'
import { listen } from '../../kit/loopback.ts'
import { testCertificate } from '../../kit/over-tls.ts'
import { get } from '../../kit/clients/raw-client.ts'

for (const requestCert of [false, true])
  t.test(`a request over TLS is answered, a certificate asked for: ${requestCert}`, async t => {
    const options = { ...testCertificate(), requestCert, rejectUnauthorized: false }
    const server = createServer(options, (_, response) => void response.end('heard'))
    server.on('secureConnection', socket => socket.setTimeout(5_000, () => socket.destroy()))
    const port = await listen(t, server)
    const { status, body } = await get(`https://127.0.0.1:${port}/`)
    t.equal(status, 200)
    t.equal(String(body), 'heard')
  })
