// Goal: NO_PROXY means here what it means to curl and Go's clients. Method: a table of rules and
// URLs.
import t from 'tap'
import { proxyFor } from '../../../src/upstream/connect/http-proxy.ts'

const isProxied = (url: string, noProxy: string): boolean =>
  proxyFor(new URL(url), { url: 'http://proxy:3128', noProxy }) !== undefined

t.test('R152: without a rule that matches, requests go through the proxy', async t => {
  t.ok(isProxied('https://ghcr.io/v2/', ''))
  t.ok(isProxied('https://ghcr.io/v2/', 'other.io, .example.com'))
  t.ok(isProxied('https://notexample.com/', 'example.com'))
  t.ok(isProxied('https://example.com/', '.example.com'))
  t.ok(isProxied('https://example.com/', 'example.com:8443'))
  t.ok(isProxied('https://10.1.0.1/', '10.0.0.0/16'))
  t.notOk(proxyFor(new URL('https://ghcr.io/'), undefined))
  t.notOk(proxyFor(new URL('https://ghcr.io/'), { url: '' }))
})

t.test('R152: names with their sub-domains, ports, addresses and blocks are excepted', async t => {
  const excepted = [
    ['https://ghcr.io/', '*'],
    ['https://example.com/', 'example.com'],
    ['https://a.example.com/', 'example.com'],
    ['https://a.example.com/', '.example.com'],
    ['https://a.example.com/', '*.example.com'],
    ['https://A.Example.com/', 'EXAMPLE.COM'],
    ['https://example.com:8443/', 'example.com:8443'],
    ['https://10.0.3.4/', '192.168.0.0/16 10.0.0.0/16'],
    ['https://10.0.3.4/', '10.0.3.4'],
    ['https://[2001:db8::1]/', '2001:db8::/32'],
    ['http://127.0.0.1:5000/', ''],
    ['http://localhost:5000/', ''],
  ] as const
  for (const [url, noProxy] of excepted) t.notOk(isProxied(url, noProxy), `${url} ${noProxy}`)
})
