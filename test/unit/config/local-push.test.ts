// Goal: programs of the machine may push as long as nothing says that others come here, or the
// operator says so; and the list of allowed names holds those that the configuration gives this
// edge elsewhere. Method: configurations as text, with certificates made for them.
import t from 'tap'
import { compareConfigs } from '../../../src/config/settings-list.ts'
import { makeCertificate } from '../../kit/certificate.ts'
import { configOf } from '../../kit/load-text.ts'

const TLS = 'tls: { certificate: /c.pem, key: /k.pem }'

function pushOf(http: string, names: readonly string[] = []): string {
  const { cert, key } = makeCertificate({ names })
  const around = { files: { '/c.pem': cert, '/k.pem': key } }
  return configOf(`http: { ${http} }`, around).http.localPush
}

t.test('R244: pushes from the machine are off by themselves where others come', async t => {
  t.equal(configOf('').http.localPush, 'unsaid')
  t.equal(pushOf('names: [edge.example.com]'), 'unsaid', 'a name alone says nothing of who comes')
  t.equal(pushOf('host: https://edge.example.com'), 'public name')
  t.equal(pushOf('host: https://edge.example.com, localpush: true'), 'on')
  t.equal(pushOf('localpush: false'), 'set to false')
  t.equal(pushOf('host: https://edge.example.com, localpush: false'), 'set to false')
})

t.test('R244: a certificate says who comes by its names', async t => {
  for (const [names, off] of [
    [['localhost', '127.0.0.1'], 'unsaid'],
    [['edge.localhost', 'LOCALHOST', '127.8.0.1'], 'unsaid'],
    [['edge.example.com'], 'certificate'],
    [['localhost', '127.0.0.1', 'edge'], 'certificate'],
    [['localhost', '192.0.2.1'], 'certificate'],
    [['*.example.com'], 'certificate'],
    [['localhost.example.com'], 'certificate'],
    [['notlocalhost'], 'certificate'],
  ] as const) {
    t.equal(pushOf(TLS, names), off, names.join())
    t.equal(pushOf(`${TLS}, localpush: true`, names), 'on', `${names.join()}, but told so`)
  }
})

t.test('R247: allowed hosts are those listed and those that it is called by elsewhere', async t => {
  t.equal(configOf('').http.hosts, undefined)
  t.equal(configOf('http: { host: "https://edge.example.com" }').http.hosts, undefined)
  const text = `
http: { host: "https://edge.example.com:8443", names: [edge], hosts: [Registry.Example, "192.0.2.1:5000"] }
upstreams: { docker.io: { virtualhosts: [hub.example] } }`
  t.same(configOf(text).http.hosts, [
    'registry.example',
    '192.0.2.1:5000',
    'edge.example.com:8443',
    'edge',
    'hub.example',
  ])
})

t.test('both take effect with a reload', async t => {
  const before = configOf('')
  const after = configOf('http: { hosts: [edge], localpush: false }')
  t.same(compareConfigs(before, after), {
    changed: ['http.hosts', 'http.localpush'],
    needsRestart: [],
  })
})
