// Goal: every HTTP thread obeys the access rules, for manifests in memory, for large blobs that are
// open and go out by the kernel, and for what is looked up; a reload that returned holds on each of
// them, on connections that were open. Method: the whole edge in process, one to four threads, over
// a stub registry, with clients on every thread from two addresses of loopback.
import t from 'tap'
import { patternBlob } from '../../kit/content.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage } from '../../kit/image.ts'
import { type MortalWord, openMortalChannel } from '../../kit/threads/mortal-channel.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'
import { reachThreads } from '../../kit/clients/thread-clients.ts'

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

t.test('R409: a thread that is late with a reload gives nothing by the old rules', async t => {
  const stub = await startStub(t)
  stub.addImage('team/app', 'v1', image)
  stub.addBlob('team/app', large)
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const http = { addr: '127.0.0.1:0', threads: 2 }
  const edge = await startTestEdge(t, {
    upstreams,
    config: { http, access: rulesFor(READER) },
    threadEntry: new URL('../../kit/threads/late-thread.ts', import.meta.url),
  })
  const { channel, say } = openMortalChannel()
  t.teardown(() => channel.close())
  const heard = (word: MortalWord) =>
    new Promise<void>(resolve => {
      channel.onmessage = (message: unknown) => {
        if ((message as { data: MortalWord }).data === word) resolve()
      }
    })
  const readers = await reachThreads(t, edge.url, 2, READER)
  const others = await reachThreads(t, edge.url, 2, READER)
  const nobodies = await reachThreads(t, edge.url, 2, NOBODY)
  const paths = [
    '/v2/team/app/manifests/v1',
    `/v2/team/app/blobs/${large.digest}`,
    '/v2/team/app/tags/list',
  ]
  const headers = { accept: image.manifest.mediaType }
  for (const reader of readers)
    for (const path of [...paths, ...paths, ...paths, ...paths])
      t.equal((await reader.send('GET', path, { headers })).status, 200)

  const late = heard('late')
  say('withhold')
  await late
  const withheld = heard('withheld')
  let hasReturned = false
  const reloaded = edge
    .reloaded(upstreams, { http, access: rulesFor(NOBODY) })
    .then(() => (hasReturned = true))
  await withheld
  const [path = ''] = paths
  const asked = readers.map(reader => reader.send('GET', path, { headers }))
  // They have come to where they are answered when others, sent later, were.
  for (const other of others) t.equal((await other.send('GET', '/livez')).status, 200)
  t.notOk(hasReturned, 'a reload waits for each')
  say('catch up')
  await reloaded
  for (const answer of await Promise.all(asked)) t.equal(answer.status, 404)
  for (const each of paths) {
    for (const reader of readers) t.equal((await reader.send('GET', each)).status, 404)
    for (const other of nobodies) t.equal((await other.send('GET', each)).status, 200)
  }
})
