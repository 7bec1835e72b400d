// Goal: every HTTP thread obeys the access rules, for manifests in memory, for large blobs that are
// open and go out by the kernel, and for what is looked up; a reload that returned holds on each of
// them, on connections that were open. Method: the whole edge in process, one to four threads, over
// a stub registry, with clients on every thread from two addresses of loopback.
import t from 'tap'
import { patternBlob } from '../kit/content.ts'
import { startTestEdge } from '../kit/edge.ts'
import { makeImage } from '../kit/image.ts'
import { startStub } from '../kit/stub-registry.ts'
import { reachThreads } from '../kit/thread-clients.ts'

const MiB = 1024 * 1024
const [READER, NOBODY] = ['127.0.0.2', '127.0.0.9']
const image = makeImage({ seed: 'access', layers: [1_000] })
const large = patternBlob('access', 6 * MiB)
const rulesFor = (address: string) => [
  { who: `net:${address}`, match: 'docker.io/team/**', allow: ['pull', 'list'] },
]

for (const threads of [1, 4])
  t.test(`R408: ${threads} thread(s) obey the rules, from memory too`, async t => {
    const stub = await startStub(t)
    stub.addImage('team/app', 'v1', image)
    stub.addBlob('team/app', large)
    const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
    const http = { addr: '127.0.0.1:0', threads }
    const edge = await startTestEdge(t, {
      upstreams,
      config: { http, access: rulesFor(READER) },
    })
    const readers = await reachThreads(t, edge.url, threads, READER)
    const nobodies = await reachThreads(t, edge.url, threads, NOBODY)
    const paths = [
      '/v2/team/app/manifests/v1',
      `/v2/team/app/manifests/${image.manifest.digest}`,
      `/v2/team/app/blobs/${image.config.digest}`,
      `/v2/team/app/blobs/${large.digest}`,
      '/v2/team/app/tags/list',
    ]
    const headers = { accept: image.manifest.mediaType }
    let answers = 0
    const expect = async (clients: typeof readers, status: number, times: number) => {
      for (const client of clients)
        for (const path of paths)
          for (let time = 0; time < times; time += 1) {
            const answer = await client.send('GET', path, { headers })
            answers += 1
            if (answer.status !== status) t.equal(answer.status, status, `${path} ${client.thread}`)
          }
    }
    await expect(nobodies, 404, 1)
    t.equal(stub.count({}), 0, 'for nobody no upstream is asked')
    await expect(readers, 200, 4)
    await expect(nobodies, 404, 2)
    await expect(readers, 200, 1)
    await edge.reloaded(upstreams, { http, access: rulesFor(NOBODY) })
    await expect(readers, 404, 1)
    await expect(nobodies, 200, 3)
    await edge.reloaded(upstreams, { http })
    await expect(readers, 200, 1)
    t.comment(`${answers} answers`)
  })
