// Goal: TLS stubs can be trusted by their authority, and only so. Method: Node's own TLS client
// connects to a stub.
import { once } from 'node:events'
import { request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { type Certificate, makeCertificate } from '../../kit/certificate.ts'
import { startStubRegistry } from '../../kit/stubs/stub-registry.ts'

async function ping(
  tls: Certificate,
  options: { ca?: string; servername?: string },
): Promise<number> {
  const stub = await startStubRegistry({ tls })
  try {
    const sent = request(`${stub.url}/v2/`, { ...options, agent: false })
    sent.end()
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    answer.resume()
    return answer.statusCode ?? 0
  } finally {
    await stub.stop()
  }
}

t.test('a certificate is good under its own authority, by address and by name', async t => {
  const tls = makeCertificate()
  t.equal(await ping(tls, { ca: tls.ca }), 200)
  t.equal(await ping(tls, { ca: tls.ca, servername: 'localhost' }), 200)
})

t.test('it is refused without the authority, for another name, and after its time', async t => {
  const tls = makeCertificate()
  await t.rejects(ping(tls, {}), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  await t.rejects(ping(tls, { ca: tls.ca, servername: 'registry.example' }), {
    code: 'ERR_TLS_CERT_ALTNAME_INVALID',
  })
  const old = makeCertificate({ expired: true })
  await t.rejects(ping(old, { ca: old.ca }), { code: 'CERT_HAS_EXPIRED' })
})
