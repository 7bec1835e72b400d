// Goal: a certificate that has expired, or a clock that says so, does not keep the edge from
// starting; the operator is told, and it is the clients that refuse (R23 of the programme). Method:
// the real process with a certificate whose time is over.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get as tlsGet } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { makeCertificate } from '../kit/certificate.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'

t.setTimeout(300_000)

/** The status of a ping. @throws what TLS says against the certificate */
function ping(url: string, trust: { ca: string; rejectUnauthorized: boolean }): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = tlsGet(`${url}/v2/`, trust, response => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    request.on('error', reject)
  })
}

t.test('with an expired certificate the edge starts, warns, and shows when it expired', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'entrepot-expired-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
  const { cert, key, ca } = makeCertificate({ validTo: '2021-01-01' })
  const tls = { certificate: join(directory, 'old.crt'), key: join(directory, 'old.key') }
  await writeFile(tls.certificate, cert)
  await writeFile(tls.key, key, { mode: 0o600 })
  const edge = await startEdge({ directory, config: { http: { tls } } })
  t.teardown(() => edge.stop())
  // One stream is read after the other.
  const isThere = () => edge.output.some(line => line.includes('expired on 2021-01-01'))
  while (!isThere()) await new Promise(setImmediate)
  const warnings = edge.output.filter(line => line.includes('expired on 2021-01-01'))
  t.equal(warnings.length, 1)
  t.match(warnings[0], /warning: http\.tls\.certificate: .* renew it/)
  await t.rejects(ping(edge.url, { ca, rejectUnauthorized: true }), { code: 'CERT_HAS_EXPIRED' })
  t.equal(await ping(edge.url, { ca, rejectUnauthorized: false }), 200)
  const metrics = await (await fetch(`${edge.adminUrl}/metrics`)).text()
  const expired = Date.UTC(2021, 0, 1) / 1000
  t.ok(metrics.includes(`\nentrepot_tls_certificate_expires_seconds ${expired}\n`))
})
