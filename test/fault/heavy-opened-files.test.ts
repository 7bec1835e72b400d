// Goal: whatever a path says, no file is opened but the edge's own (S05 of the programme). Method:
// the real process under strace, and every path that climbs, in every spelling, as a name, a tag, a
// digest, an upload and in the query. A pull is the control: its files are seen.
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { makeImage } from '../kit/image.ts'
import { get, sendRaw } from '../kit/clients/raw-client.ts'
import { straceProcess } from '../kit/disk/strace-process.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { CLIMBS } from '../kit/climbs.ts'

t.setTimeout(300_000)

const OVERLONG = ['%c0%ae%c0%ae/', '%c0%ae%c0%ae%c0%af', '..%c1%9c', '%u002e%u002e/', '....//']
const FILES = ['etc/passwd', 'etc%2Fpasswd', 'etc/passwd%00', 'proc/self/environ']
const PLACES = [
  (climb: string) => `/${climb}`,
  (climb: string) => `/v2/${climb}/manifests/v1`,
  (climb: string) => `/v2/library/app/manifests/${climb}`,
  (climb: string) => `/v2/library/app/manifests/sha256:${climb}`,
  (climb: string) => `/v2/library/app/blobs/sha256:${climb}`,
  (climb: string) => `/v2/localhost/app/blobs/uploads/${climb}`,
  (climb: string) => `/v2/library/app/manifests/v1?ns=${climb}`,
  (climb: string) => `/v2/_catalog?last=${climb}`,
]
/** What the process itself asks the kernel: whose a connection is, and how memory is given. */
const KERNELS = /^\/proc\/(?:self\/net\/tcp6?|sys\/vm\/overcommit_memory)$/
const METHODS = ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE']

t.test('no request opens a file outside the data directory', async t => {
  const image = makeImage({ seed: 'opened', layers: [100_000] })
  const stub = await startStub(t)
  stub.addImage('library/app', 'v1', image)
  const upstream = { url: stub.url, http: true, prefetch: false }
  const edge = await startEdge({ upstreams: { 'docker.io': upstream } })
  t.teardown(() => edge.stop())
  const manifest = `${edge.url}/v2/library/app/manifests/v1`
  t.equal((await get(manifest)).status, 200)

  const trace = await straceProcess(edge.pid, { calls: 'open,openat,openat2,readlink,stat' })
  t.equal((await get(`${edge.url}/v2/library/app/blobs/${image.layers[0]?.digest}`)).status, 200)
  let asked = 0
  for (const place of PLACES)
    for (const climb of [...CLIMBS, ...OVERLONG])
      for (const file of FILES) {
        const path = place(`${climb.repeat(8)}${file}`)
        const method = METHODS[asked % METHODS.length] ?? 'GET'
        const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n`
        const { body } = await sendRaw(edge.url, head, { method })
        t.notMatch(body.toString(), /root:|PATH=/, path)
        asked += 1
      }
  const paths = (await trace.stop()).flatMap(line => /\w+\([^"]*"([^"]*)"/.exec(line)?.[1] ?? [])
  const isOwn = (path: string) =>
    `${path}/`.startsWith(`${edge.dataDirectory}/`) && !path.includes('..')
  t.ok(paths.some(isOwn), 'the control: files of the pull are seen')
  const strange = paths.filter(path => !isOwn(path) && !KERNELS.test(path))
  t.same([...new Set(strange)], [], `of ${paths.length} opened while ${asked} paths were asked`)
})
