// Goal: a write whose body was under way when a reload took the right to push away does nothing
// once the reload has returned. Method: the whole edge in process, and clients that send the rest
// of their bodies after the reload.
import t from 'tap'
import { digestOf } from '../../../src/oci/digest.ts'
import { beginUpload, NO_UPSTREAM } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { openSocket } from '../../kit/worlds/http-app.ts'
import { withDigest } from '../../kit/clients/raw-push.ts'

const INDEX = 'application/vnd.oci.image.index.v1+json'
const manifest = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: [] })
const blob = 'a blob that takes its time'
const rulesWith = (...more: string[]) => [
  { who: '*', match: '**', tags: ['v*'], allow: more },
  { who: '*', match: '**', allow: ['pull', ...more] },
]

/** The server reads the body once it has sent 100 Continue. */
async function beginWrite(edge: TestEdge, request: string, body: string, type: string) {
  const client = await openSocket(edge.url)
  const head = [
    `${request} HTTP/1.1`,
    `Host: ${new URL(edge.url).host}`,
    `Content-Type: ${type}`,
    `Content-Length: ${body.length}`,
    'Expect: 100-continue',
    'Connection: close',
  ]
  client.socket.write(`${head.join('\r\n')}\r\n\r\n`)
  await client.until('100 Continue')
  client.socket.write(body.slice(0, 10))
  return async () => {
    client.socket.write(body.slice(10))
    await client.ended
    return client.received()
  }
}

t.test(
  'R605: what was begun before a reload is decided by the rules that hold at its end',
  async t => {
    const edge = await startTestEdge(t, {
      upstreams: NO_UPSTREAM,
      config: { access: rulesWith('push') },
    })
    const begin = async () => {
      const location = withDigest(await beginUpload(edge, 'app'), digestOf(Buffer.from(blob)))
      const { pathname, search } = new URL(location, edge.url)
      const upload = `PUT ${pathname}${search}`
      return [
        await beginWrite(edge, 'PUT /v2/app/manifests/v1', manifest, INDEX),
        await beginWrite(edge, upload, blob, 'application/octet-stream'),
      ]
    }
    const may = await begin()
    for (const end of may) t.match(await end(), / 201 Created/)
    await edge.send('DELETE', '/v2/app/manifests/v1')
    const mayNot = await begin()
    await edge.reloaded(NO_UPSTREAM, { access: rulesWith() })
    for (const end of mayNot) {
      const answer = await end()
      t.match(answer, / 403 /)
      t.notMatch(answer, / 201 /)
    }
  },
)
