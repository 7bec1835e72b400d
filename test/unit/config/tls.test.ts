// Goal: whatever is wrong with a certificate or its key is told before anybody connects, with what
// to do. Method: certificates made for each fault, and the lines that the operator reads.
import { createPrivateKey } from 'node:crypto'
import t from 'tap'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { makeAuthority, makeCertificate } from '../../kit/certificate.ts'
import { type Around, complaints, configOf, loadText } from '../../kit/load-text.ts'

const TEXT = 'http: { tls: { certificate: /c.pem, key: /k.pem } }'
const NOW_MS = Date.UTC(2026, 0, 1)
const good = makeCertificate()

function filesOf({ cert, key }: { cert: string; key: string }, more: Partial<Around> = {}): Around {
  return { nowMs: NOW_MS, files: { '/c.pem': cert, '/k.pem': key }, ...more }
}

t.test('TLS: a certificate with its key is taken, and its key is a secret', async t => {
  const { http } = configOf(TEXT, filesOf(good))
  const [pair] = http.tls?.certificates ?? []
  t.match(pair, { certificate: good.cert, certificateFile: '/c.pem', keyFile: '/k.pem' })
  t.match(http.tls, { minimumVersion: 'TLSv1.2' })
  t.equal(pair?.key.reveal(), good.key)
  t.equal(pair?.expiresAtMs, Date.UTC(2099, 0, 1))
  t.notMatch(JSON.stringify(http), /PRIVATE KEY/)
  t.same(pair?.names, ['localhost', '127.0.0.1'])
  t.equal(configOf('').http.tls, undefined)
  const environment = {
    ENTREPOT_HTTP_TLS_CERTIFICATE: '/c.pem',
    ENTREPOT_HTTP_TLS_KEY: '/k.pem',
    ENTREPOT_HTTP_TLS_MINIMUMTLS: 'tls1.3',
  }
  t.match(configOf('', filesOf(good, { env: environment })).http.tls, { minimumVersion: 'TLSv1.3' })
})

t.test('TLS: certificate and key may be credentials of systemd', async t => {
  const text = 'http: { tls: { certificate: crt, key: key } }'
  const env = { CREDENTIALS_DIRECTORY: '/run/credentials/entrepot.service' }
  const files = {
    '/run/credentials/entrepot.service/crt': good.cert,
    '/run/credentials/entrepot.service/key': good.key,
  }
  t.match(configOf(text, { env, files }).http.tls?.certificates, [{ certificate: good.cert }])
})

t.test('TLS: a chain is taken in the order in which clients need it', async t => {
  t.same(complaints(TEXT, filesOf({ ...good, cert: good.cert + good.ca })), [])
  t.match(complaints(TEXT, filesOf({ ...good, cert: good.ca + good.cert })), [
    /error: http\.tls\.certificate: in \/c\.pem the certificate of the server must come first.* it is number 2$/,
  ])
})

const pkcs8 = { type: 'pkcs8', format: 'pem' } as const
const encrypted = createPrivateKey(good.key).export({
  ...pkcs8,
  cipher: 'aes-256-cbc',
  passphrase: 'x',
})

/** What is wrong → the files, and the one line about them. */
const FAULTS: Record<string, readonly [Around, RegExp]> = {
  'no certificate': [
    { files: { '/k.pem': good.key } },
    /error: http\.tls\.certificate: cannot read \/c\.pem: there is no such file/,
  ],
  'no key': [
    { files: { '/c.pem': good.cert } },
    /error: http\.tls\.key: cannot read \/k\.pem: there is no such file/,
  ],
  'no PEM': [filesOf({ ...good, cert: 'x' }), /certificate: \/c\.pem holds no PEM certificate/],
  'a certificate for a key': [
    filesOf({ ...good, key: good.cert }),
    /key: \/k\.pem holds no PEM private key/,
  ],
  'a damaged certificate': [
    filesOf({ ...good, cert: good.cert.replace(/\nMI/, '\nMX') }),
    /certificate: \/c\.pem holds a certificate that is damaged/,
  ],
  'a damaged key': [
    filesOf({ ...good, key: good.key.replace(/\nMI/, '\nMX') }),
    /key: \/k\.pem holds a private key that is damaged/,
  ],
  'an encrypted key': [
    filesOf({ ...good, key: String(encrypted) }),
    /key: the key in \/k\.pem is encrypted.*openssl pkey -in \/k\.pem/,
  ],
  'the key of another': [
    filesOf({ ...good, key: makeCertificate().key }),
    /key: \/k\.pem is the key of another certificate than the one in \/c\.pem/,
  ],
  'an expired certificate': [
    filesOf(makeCertificate({ validTo: '2025-12-31' })),
    /warning: http\.tls\.certificate: the certificate in \/c\.pem expired on 2025-12-31.*renew it; by the clock .* 2026-01-01/,
  ],
  'one that expires soon': [
    filesOf(makeCertificate({ validTo: '2026-01-10' })),
    /warning: http\.tls\.certificate: the certificate in \/c\.pem expires on 2026-01-10/,
  ],
  'a clock that was never set': [
    filesOf(good, { nowMs: 0 }),
    /warning: .* not valid before 2020-01-01, and by the clock of this machine it is 1970-01-01/,
  ],
  'a key that is too weak': [
    filesOf(makeCertificate({ weak: true })),
    /error: http\.tls\.certificate: cannot be used for TLS: .*key too small/,
  ],
  'no name that Go looks at': [
    filesOf(makeCertificate({ names: [] })),
    /warning: .* has no subjectAltName, so docker, containerd and podman refuse it/,
  ],
  'a key that everybody reads': [
    filesOf(good, { modes: { '/k.pem': 0o100644 } }),
    /warning: http\.tls\.key: every user of this machine can read \/k\.pem/,
  ],
}
for (const [what, [around, line]] of Object.entries(FAULTS)) {
  t.test(`TLS: ${what} is told in one line`, async t => {
    const lines = complaints(TEXT, around)
    t.match(lines, [line])
    t.equal(lines.length, 1)
    t.notMatch(lines.join(), /BEGIN|asn1|0[xX]|error:[0-9A-F]{8}/, 'in our words, without the key')
    const isWarning = lines[0]?.includes('warning') ?? false
    t.equal(loadText(TEXT, around).kind, isWarning ? 'ok' : 'invalid')
  })
}

t.test('TLS: a short-lived certificate is not always about to expire', async t => {
  const daily = makeCertificate({ validFrom: '2025-12-31', validTo: '2026-01-03' })
  t.same(complaints(TEXT, filesOf(daily)), [])
})

t.test('TLS: the public name must be in the certificate', async t => {
  const named = (host: string) =>
    complaints(TEXT.replace('{', `{ host: "https://${host}",`), filesOf(good))
  t.same(named('localhost:5000'), [])
  t.same(named('127.0.0.1'), [])
  t.match(named('edge.example.com'), [/warning: .*is not for edge\.example\.com/])
  t.match(named('[::1]'), [/warning: .*is not for ::1/])
})

t.test('TLS: versions that clients refuse are refused here', async t => {
  const text = TEXT.replace('key:', 'minimumtls: tls1.0, key:')
  t.match(complaints(text, filesOf(good)), [/one of tls1\.2, tls1\.3 \(did you mean tls1\.2\?\)/])
})

t.test(
  'R540: a renewed certificate is a change that a reload brings; TLS itself is not',
  async t => {
    const [before, after] = [good, makeCertificate()].map(each => configOf(TEXT, filesOf(each)))
    if (before === undefined || after === undefined) throw new Error('two configurations')
    t.same(compareConfigs(before, after), {
      changed: ['http.tls.certificate', 'http.tls.key'],
      needsRestart: [],
    })
    const plain = configOf('')
    for (const [one, other] of [
      [plain, before],
      [before, plain],
    ] as const)
      t.same(compareConfigs(one, other), { changed: [], needsRestart: ['http.tls'] })
  },
)

const SEVERAL = `http:
  hosts: [edge.example.com, "team.example.com:5000", other.example]
  tls:
    certificate: /c.pem
    key: /k.pem
    certificates: [{ certificate: /c2.pem, key: /k2.pem }]
upstreams:
  docker.io: { virtualhosts: [hub.example.com, hub.example.org] }`

function several(...names: readonly (readonly string[])[]): Around {
  const [one, other] = names.map(each => makeCertificate({ names: each }))
  if (one === undefined || other === undefined) throw new Error('two certificates')
  const files = {
    '/c.pem': one.cert,
    '/k.pem': one.key,
    '/c2.pem': other.cert,
    '/k2.pem': other.key,
  }
  return { nowMs: NOW_MS, files }
}

t.test('R544: names that no certificate is for are told, each where it is written', async t => {
  const around = several(['edge.example.com'], ['*.example.com'])
  t.match(complaints(SEVERAL, around), [
    /:2:.*warning: http\.hosts\[2\]: no certificate of http\.tls is for other\.example$/,
    /warning: upstreams\.docker\.io\.virtualhosts\[1\]: no certificate .* hub\.example\.org$/,
  ])
})

t.test('R544: a name that two certificates are for is told', async t => {
  const around = several(['edge.example.com', '*.example.com'], ['a.example', 'edge.example.com'])
  const [line] = complaints(SEVERAL, around).filter(each => each.includes('/c2.pem'))
  t.match(
    line,
    /certificates\[0\]\.certificate: the certificate in \/c2\.pem is for edge\.example\.com, as that in \/c\.pem is/,
  )
})

t.test('R540: the content of a further certificate counts, and a fault of it is told', async t => {
  const before = several(['a.example'], ['b.example'])
  const after = several(['a.example'], ['b.example'])
  const files = { ...before.files, '/c2.pem': after.files?.['/c2.pem'] ?? '' }
  t.match(complaints(SEVERAL, { ...before, files }).slice(0, 1), [
    /error: http\.tls\.certificates\[0\]\.key: \/k2\.pem is the key of another certificate/,
  ])
  const pair = { ...files, '/k2.pem': after.files?.['/k2.pem'] ?? '' }
  const text = SEVERAL.replace(/ +hosts.*\n/, '').replace(/\nupstreams[^]*/, '')
  t.same(compareConfigs(configOf(text, before), configOf(text, { ...before, files: pair })), {
    changed: ['http.tls.certificates'],
    needsRestart: [],
  })
})

t.test('R545: authorities of clients are judged, and so is whom rules call by them', async t => {
  const text = TEXT.replace('key:', 'clientcas: [/ca.pem], clientnames: [cn], key:')
  const files = { ...filesOf(good).files, '/ca.pem': good.ca }
  const { http } = configOf(text, filesOf(good, { files }))
  const authorities = [{ file: '/ca.pem', text: good.ca }]
  t.same(http.tls?.clients, { authorities, fields: ['cn'] })
  const broken = { ...files, '/ca.pem': 'x' }
  t.match(complaints(text, filesOf(good, { files: broken })), [
    /error: http\.tls\.clientcas\[0\]: \/ca\.pem holds no PEM certificate/,
  ])
  t.match(complaints(text.replace('[cn]', '[common]'), filesOf(good, { files })), [
    /clientnames\[0\]: must be one of uri, dns, email, cn/,
  ])
  t.match(complaints(text.replace('[cn]', '[]'), filesOf(good, { files })), [
    /clientnames: must name one place at least/,
  ])
  const rules = '\naccess: [{ who: "cert:a", match: "**", allow: [pull] }]'
  t.match(complaints(`${TEXT}${rules}`, filesOf(good)), [
    /warning: access\[0\]\.who: is nobody: without http\.tls\.clientcas/,
  ])
  t.same(complaints(`${text}${rules}`, filesOf(good, { files })), [])
})

t.test('R550: authorities of clients are whole, or none of the file counts', async t => {
  const text = TEXT.replace('key:', 'clientcas: [/ca.pem], key:')
  const found = (ca: string) =>
    complaints(text, filesOf(good, { files: { ...filesOf(good).files, '/ca.pem': ca } }))
  const cut = good.ca.slice(0, good.ca.length / 2)
  const revoked = '-----BEGIN X509 CRL-----\nMAo=\n-----END X509 CRL-----\n'
  t.same(found(`a comment\n${good.ca}${makeAuthority().ca}`), [])
  for (const damaged of [cut, good.ca + cut, cut + good.ca])
    t.match(found(damaged), [/error: .*clientcas\[0\]: \/ca\.pem holds a certificate .*damaged/])
  t.match(found(good.ca + revoked), [/error: .*clientcas\[0\]: \/ca\.pem holds more than whole/])
  const { ca } = makeAuthority({ validTo: '2021-01-01' })
  t.match(found(good.ca + ca), [/warning: .*CN=test authority\) expired on 2021-01-01, .*renew it/])
})
