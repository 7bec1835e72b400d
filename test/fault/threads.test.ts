// Goal: however many threads serve, they are one registry: each byte is fetched once, a push is
// seen by the next request wherever it comes, an upload goes on at any of them, and stop and reload
// reach all. Method: the real process with 1, 2 and 4 threads, and a client on each of them.
import { readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { askedTwiceOrNever, faultOf, stampedeHalfWay } from '../kit/clients/herd.ts'
import { manifestOver } from '../kit/clients/push-client.ts'
import { withDigest } from '../kit/clients/raw-push.ts'
import { startStub } from '../kit/stubs/stub-registry.ts'
import { reachThreads, type ThreadClient } from '../kit/clients/thread-clients.ts'

const MIB = 1024 * 1024
const CONFIG = Buffer.from('{}')

t.setTimeout(300_000)
const stub = await startStub(t)

async function pushBlob(
  client: ThreadClient,
  repository: string,
  body: Uint8Array,
  digest: string,
) {
  const begun = await client.send('POST', `/v2/${repository}/blobs/uploads/`, {
    body: Buffer.alloc(0),
  })
  return client.send('PUT', withDigest(String(begun.headers['location']), digest), { body })
}

t.test('without http.threads there is one for each core, four at most', async t => {
  const edge = await startEdge({ upstreams: {}, config: { default: 'localhost' } })
  t.teardown(() => edge.stop())
  const cores = availableParallelism()
  const status = await edge.askAdmin('/status')
  const threads = Math.min(cores, 4)
  t.match(status, { threads: { configured: threads, listening: threads, deaths: 0 } })
  t.equal((await reachThreads(t, edge.url, threads)).length, threads)
})

for (const threads of [1, 2, 4]) {
  t.test(`with ${threads} threads`, async t => {
    const edge = await startEdge({
      upstreams: { 'docker.io': { url: stub.url, http: true } },
      config: { http: { addr: '127.0.0.1:0', threads, draintimeout: '20s' } },
    })
    t.teardown(() => edge.stop())
    const clients = await reachThreads(t, edge.url, threads)
    const at = (number: number): ThreadClient => clients[number % threads] as ThreadClient

    t.test(
      'a tag that was pushed on one thread is what the next request on every other gets',
      async t => {
        for (const number of [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]) {
          const { bytes, mediaType, digest, blobs } = withBlobs(number)
          for (const [blob, blobDigest] of blobs) {
            t.equal((await pushBlob(at(number), 'app', blob, blobDigest)).status, 201)
          }
          const headers = { 'content-type': mediaType }
          const pushed = await at(number).send('PUT', '/v2/app/manifests/v1', {
            body: bytes,
            headers,
          })
          t.equal(pushed.status, 201)
          for (const client of clients) {
            const pulled = await client.send('GET', '/v2/app/manifests/v1')
            t.equal(pulled.headers['docker-content-digest'], digest)
            t.ok(pulled.body.equals(bytes))
          }
        }
        t.equal((await at(1).send('DELETE', '/v2/app/manifests/v1')).status, 202)
        for (const client of clients) {
          t.equal((await client.send('GET', '/v2/app/manifests/v1')).status, 404)
          t.equal((await client.send('HEAD', '/v2/app/manifests/v1')).status, 404)
        }
      },
    )

    t.test(
      'the pieces of one upload may arrive at different threads; ranges come from each',
      async t => {
        const { digest, ...content } = patternBlob(`pieces ${threads}`, 5 * MIB)
        const bytes = content.bytes()
        let answer = await at(0).send('POST', '/v2/app/blobs/uploads/', { body: Buffer.alloc(0) })
        for (let piece = 0; piece < 5; piece += 1) {
          const body = bytes.subarray(piece * MIB, (piece + 1) * MIB)
          const range = { 'content-range': `${piece * MIB}-${(piece + 1) * MIB - 1}` }
          answer = await at(piece).send('PATCH', String(answer.headers['location']), {
            body,
            headers: range,
          })
          t.equal(answer.status, 202)
          t.equal(answer.headers['range'], `0-${(piece + 1) * MIB - 1}`)
        }
        const put = withDigest(String(answer.headers['location']), digest)
        const end = await at(3).send('PUT', put, { body: Buffer.alloc(0) })
        t.equal(end.status, 201)
        for (const client of clients) {
          const whole = await client.send('GET', `/v2/app/blobs/${digest}`)
          t.ok(whole.body.equals(bytes))
          const headers = { range: 'bytes=1000000-2999999' }
          const part = await client.send('GET', `/v2/app/blobs/${digest}`, { headers })
          t.equal(part.status, 206)
          t.ok(part.body.equals(bytes.subarray(1_000_000, 3_000_000)))
        }
      },
    )

    t.test('a herd over all threads on a cold blob asks for each byte once', async t => {
      const blob = patternBlob(`herd ${threads}`, 12 * MIB)
      const herd = await stampedeHalfWay({ stub, edge }, { name: 'herd', blob, clients: 20 })
      herd.release()
      t.same(
        (await herd.all).map(got => faultOf(got, blob)),
        Array(20).fill(undefined),
      )
      t.same(askedTwiceOrNever(stub.rangesAsked(blob.digest), blob.sizeBytes), {
        twiceBytes: 0,
        neverBytes: 0,
      })
    })

    t.test('what is counted is counted on all threads', async t => {
      const pings = async () => {
        const text = await (await fetch(`${edge.adminUrl}/metrics`)).text()
        const series = /^entrepot_requests_total\{endpoint="ping".* (\d+)$/m.exec(text)
        return Number(series?.[1] ?? 0)
      }
      const before = await pings()
      for (const client of clients) t.equal((await client.send('GET', '/v2/')).status, 200)
      // A thread that has no time for it tells its count of a moment ago.
      while ((await pings()) < before + threads);
      t.equal(await pings(), before + threads)
      t.equal((await fetch(`${edge.adminUrl}/readyz`)).status, 200)
    })

    t.test('a reload is what the next request on every thread goes by', async t => {
      const path = '/v2/library/herd/tags/list?ns=registry.example'
      for (const client of clients) t.equal((await client.send('GET', path)).status, 404)
      const text = await readFile(edge.configFile, 'utf8')
      const config = JSON.parse(text)
      config.http.names = ['registry.example']
      await writeFile(edge.configFile, JSON.stringify(config))
      const from = edge.logs.length
      process.kill(edge.pid, 'SIGHUP')
      await edge.untilLogged(({ msg }) => msg === 'configuration reloaded', from)
      for (const client of clients) {
        const { body } = await client.send('GET', path)
        t.match(String(body), /localhost\/library\/herd has no tags at this edge/)
      }
    })

    t.test('a stop lets the answers of every thread go out whole', async t => {
      const memory = await edge.peakMemoryBytes()
      t.comment(`${threads} threads: ${Math.round(memory / MIB)} MiB at most`)
      const blob = patternBlob(`drain ${threads}`, 12 * MIB)
      const herd = await stampedeHalfWay({ stub, edge }, { name: 'drain', blob, clients: 8 })
      const ended = edge.terminate()
      await edge.untilLogged(({ msg }) => String(msg).startsWith('stopping'))
      herd.release()
      t.same(
        (await herd.all).map(got => faultOf(got, blob)),
        Array(8).fill(undefined),
      )
      t.same(await ended, { code: 0, signal: null })
      const completed = edge.logs.filter(
        ({ repository }) => repository === 'docker.io/library/drain',
      )
      t.equal(completed.length, 8, 'and each has its line in the log')
    })
  })
}

function withBlobs(number: number) {
  const layer = Buffer.from(`layer ${number}`)
  const manifest = manifestOver(CONFIG, [layer])
  const { config, layers } = JSON.parse(String(manifest.bytes))
  return {
    ...manifest,
    blobs: [
      [CONFIG, config.digest],
      [layer, layers[0].digest],
    ] as const,
  }
}
