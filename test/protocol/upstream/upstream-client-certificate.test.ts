// Goal: a client certificate is shown to the registry that it is for, and to nobody that this
// registry leads to (R152). Method: two TLS servers that ask for one.
import { createServer, type Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { Upstreams } from '../../../src/server/upstreams.ts'
import { makeAuthority, makeCertificate } from '../../kit/certificate.ts'
import { configOf } from '../../kit/load-text.ts'
import { listen } from '../../kit/loopback.ts'
import { createManualClock } from '../../kit/manual-clock.ts'
import { LATEST, NAME, openUpstream, type Teardown } from '../../kit/open-upstream.ts'
import { GOOD_MANIFEST } from '../../kit/stubs/scripted-server.ts'

const CERTIFICATE = makeCertificate()

/**
 * Redirects to `location`, or answers; notes for each connection whether it came with a
 * certificate.
 */
async function start(t: Teardown, location?: string) {
  const shown: boolean[] = []
  const { key, cert } = CERTIFICATE
  const options = { key, cert, requestCert: true, rejectUnauthorized: false }
  const server: Server = createServer(options, (request, response) => {
    const peer = (request.socket as TLSSocket).getPeerCertificate()
    shown.push(Object.keys(peer).length > 0)
    const { headers, body } = GOOD_MANIFEST
    if (location === undefined) response.writeHead(200, { ...headers } as Record<string, string>)
    else response.writeHead(307, { location })
    response.end(location === undefined ? body : '')
  })
  const port = await listen(t, server)
  return { url: `https://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, shown }
}

/** The only one of a configuration. */
function upstreamOf(t: Teardown, text: string, files: Readonly<Record<string, string>>) {
  const deps = { clock: createManualClock(), note: () => {}, random: () => 0.5, version: 'test' }
  const upstreams = new Upstreams(configOf(text, { files }), deps)
  t.teardown(() => upstreams.close())
  return upstreams.list()[0]?.upstream
}

t.test(
  'R152: the registry sees the client certificate, the host it redirects to does not',
  async t => {
    const storage = await start(t)
    const registry = await start(t, `${storage.url}/v2/x/manifests/latest`)
    const { upstream } = openUpstream(t, registry.url, {
      caPem: CERTIFICATE.ca,
      client: { certificatePem: CERTIFICATE.cert, keyPem: CERTIFICATE.key },
      realms: [storage.host],
    })
    t.ok(await upstream.getManifest(NAME, LATEST))
    t.same(registry.shown, [true])
    t.same(storage.shown, [false])
  },
)

t.test(
  'R152: the certificate that the configuration names for an upstream is shown to it',
  async t => {
    const registry = await start(t)
    const files = {
      '/ca.pem': CERTIFICATE.ca,
      '/c.pem': CERTIFICATE.cert,
      '/k.pem': CERTIFICATE.key,
    }
    for (const [client, shown] of [
      ['', false],
      [', client: { certificate: /c.pem, key: /k.pem }', true],
    ] as const) {
      const text = `default: registry.example
upstreams:
  registry.example: { url: "${registry.url}", ca: /ca.pem${client} }
access: [{ who: "*", match: "registry.example/**", allow: [pull] }]`
      t.ok(await upstreamOf(t, text, files)?.getManifest(NAME, LATEST))
      t.equal(registry.shown.at(-1), shown)
    }
  },
)

t.test('R690: every authority of an upstream counts, wherever it stands in its line', async t => {
  const registry = await start(t)
  const text = `default: registry.example
upstreams:
  registry.example: { url: "${registry.url}", ca: /ca.pem }
access: [{ who: "*", match: "registry.example/**", allow: [pull] }]`
  const other = makeAuthority({ under: makeAuthority() }).ca
  for (const ca of [other.trimEnd() + CERTIFICATE.ca, `${other} ${CERTIFICATE.ca}`])
    t.ok(await upstreamOf(t, text, { '/ca.pem': ca })?.getManifest(NAME, LATEST))
})
