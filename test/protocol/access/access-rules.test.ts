// Goal: whoever may not pull a repository is answered as if it were not there, wherever its content
// is and whatever is asked; a write is refused before its body is read; lists show what may be
// pulled; and what one client brought into memory is not given to another. Method: the data port
// over a registry double, with rules as people write them, and clients that call from several
// addresses of loopback.
import { once } from 'node:events'
import t from 'tap'
import { createLocalAccess } from '../../../src/access/local-access.ts'
import type { AccessRule } from '../../../src/access/rule.ts'
import { Revision } from '../../../src/access/revision.ts'
import type { ConnectionOwners } from '../../../src/http/connection-owners.ts'
import { createEpochs } from '../../../src/registry/epochs.ts'
import { createTestApp, LOCAL_RULES, openSocket } from '../../kit/worlds/http-app.ts'
import {
  createKeepAliveClient,
  headerOf,
  type KeepAliveAnswer,
} from '../../kit/clients/keep-alive-client.ts'
import { loadText } from '../../kit/load-text.ts'
import { turnsDuring } from '../../kit/threads/turns-during.ts'

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const BYTES = Buffer.from('{"schemaVersion":2}')
const ALWAYS = {
  sinceMs: 0,
  untilMs: Number.POSITIVE_INFINITY,
  graceUntilMs: Number.POSITIVE_INFINITY,
}
/** Who may pull one team's, who pushes there, and who may do everything. */
const [READER, PUSHER, CHIEF, NOBODY] = ['127.0.0.2', '127.0.0.3', '127.0.0.4', '127.0.0.9']
const RULES = `
  - { who: "net:${CHIEF}", match: "**", allow: [pull, push, delete, list] }
  - { who: "net:${READER}", match: "localhost/team/**", allow: [pull, list] }
  - { who: "net:${PUSHER}", match: "localhost/team/**", tags: ["v*"], allow: [push, delete] }
  - { who: "*", match: "docker.io/library/*", allow: [pull] }
  - { who: "net:${PUSHER}", match: "localhost/team/**", allow: [pull] }
`

function rulesFrom(text: string): readonly AccessRule[] {
  const result = loadText(`upstreams: { docker.io: {}, quay.io: {} }\naccess:${text}`)
  if (result.kind === 'invalid') throw new Error(JSON.stringify(result.findings))
  return result.config.access
}

async function open(
  test: Parameters<typeof createTestApp>[0],
  text = RULES,
  given: { readonly owners?: ConnectionOwners; readonly places?: number } = {},
) {
  const current = { rules: rulesFrom(text) }
  const epochs = createEpochs()
  const revision = new Revision()
  const access = createLocalAccess(() => ({ ...LOCAL_RULES, ...current }), revision)
  const parts = createTestApp(test, { access, epochs, ...given })
  const { registry } = parts
  registry.repeatable = ALWAYS
  const content = { bytes: BYTES, mediaType: MANIFEST, tag: 'v1' }
  const digest = registry.addManifest('localhost/team/app', content)
  registry.addManifest('localhost/team/other', content)
  registry.addManifest('docker.io/library/alpine', content)
  registry.addManifest('docker.io/team/app', content)
  const blob = registry.addBlob('localhost/team/app', Buffer.from('a blob of the team'))
  const url = await parts.listen()
  const clients = new Map<string, ReturnType<typeof createKeepAliveClient>>()
  test.teardown(() => {
    for (const client of clients.values()) client.close()
  })
  /** One connection for each address. */
  const ask = (
    from: string,
    path: string,
    request: { method?: string; headers?: Record<string, string> } = {},
  ) => {
    const client = clients.get(from) ?? createKeepAliveClient(url, 1, from)
    clients.set(from, client)
    return client.ask(path, request)
  }
  /** As a reload does. */
  const replace = (rules: string) => {
    current.rules = rules === '' ? [] : rulesFrom(rules)
    revision.raise()
  }
  return { ...parts, ask, digest, blob, replace, epochs, url }
}

/** Without what differs between any two answers. */
function compared({ status, rawHeaders, body }: KeepAliveAnswer): string {
  const lines = rawHeaders.flatMap((name, at) => {
    if (at % 2 === 1 || name === 'Date' || name === 'X-Request-Id') return []
    return [`${name}: ${rawHeaders[at + 1]}`]
  })
  return JSON.stringify([status, lines, body.toString()])
}

t.test(
  'R407: what one may not pull is answered as what is not there, and nobody is asked',
  async t => {
    const { ask, registry, digest, blob } = await open(t)
    // In memory, for who may.
    for (let count = 0; count < 4; count += 1)
      for (const path of [`manifests/v1`, `manifests/${digest}`, `blobs/${blob}`])
        t.equal((await ask(READER, `/v2/localhost/team/app/${path}`)).status, 200)
    registry.calls.length = 0
    const there = ['localhost/team/app', 'team/app', 'docker.io/team/app']
    const nowhere = ['localhost/team/none', 'team/none', 'quay.io/a/b', 'nowhere.example/a']
    let answers = 0
    for (const rest of [
      'manifests/v1',
      `manifests/${digest}`,
      `blobs/${blob}`,
      'tags/list',
      `referrers/${digest}`,
    ])
      for (const method of ['GET', 'HEAD'])
        for (const headers of [{}, { range: 'bytes=0-3' }, { 'if-none-match': `"${digest}"` }]) {
          const of = (name: string) => ask(NOBODY, `/v2/${name}/${rest}`, { method, headers })
          const seen = new Set<string>()
          for (const name of [...there, ...nowhere]) {
            const answer = await of(name)
            t.equal(answer.status, 404, `${method} ${name}/${rest}`)
            seen.add(compared(answer))
            answers += 1
          }
          t.equal(seen.size, 1, `${method} ${rest}: ${[...seen].join('\n')}`)
        }
    t.comment(`${answers} answers`)
    t.same(registry.calls, [])
    t.equal((await ask(READER, '/v2/localhost/team/app/manifests/v1')).status, 200)
    t.same(registry.calls, [], 'it was in memory all the while')
  },
)

t.test('R407: with ns and by other spellings it is the same repository', async t => {
  const { ask } = await open(t)
  for (const [path, reader, nobody] of [
    ['/v2/team/app/manifests/v1?ns=localhost', 200, 404],
    ['/localhost/v2/team/app/manifests/v1', 200, 404],
    ['/v2/library/alpine/manifests/v1', 200, 200],
    ['/v2/docker.io/alpine/manifests/v1', 200, 200],
    ['/v2/library/alpine/manifests/v1?ns=registry-1.docker.io', 200, 200],
  ] as const) {
    t.equal((await ask(READER, path)).status, reader, path)
    const answer = await ask(NOBODY, path)
    t.equal(answer.status, nobody, path)
    if (nobody === 404) t.equal(headerOf(answer, 'oci-namespace'), undefined)
  }
  const told = await ask(CHIEF, '/v2/nowhere.example/a/manifests/v1')
  t.match(String(told.body), /is not an upstream of this edge/, 'who may see all is told')
})

t.test('R408: what is in memory is given by the rules of now', async t => {
  const { ask, registry, replace } = await open(t)
  const path = '/v2/localhost/team/app/manifests/v1'
  for (let count = 0; count < 4; count += 1) await ask(READER, path)
  const calls = registry.calls.length
  const statuses = async () => [(await ask(READER, path)).status, (await ask(NOBODY, path)).status]
  t.same(await statuses(), [200, 404])
  // On the same connections, and without a word to the memory.
  replace(`
  - { who: "net:${NOBODY}", match: "**", allow: [pull] }
`)
  t.same(await statuses(), [404, 200])
  replace('')
  t.same(await statuses(), [200, 200])
  t.equal(registry.calls.length, calls, 'the registry was asked for none of them')
})

t.test('R408: a HEAD of who may push is not told what others were told', async t => {
  const { ask, registry, digest } = await open(t)
  const seen: unknown[] = []
  const { headManifest } = registry
  registry.headManifest = (repository, request) => {
    seen.push(request.mayPush)
    return headManifest(repository, request)
  }
  const path = `/v2/localhost/team/app/manifests/${digest}`
  const head = (from: string) => ask(from, path, { method: 'HEAD' })
  for (let count = 0; count < 4; count += 1) t.equal((await head(READER)).status, 200)
  t.ok(seen.length < 4 && seen.every(mayPush => mayPush === false))
  seen.length = 0
  for (let count = 0; count < 3; count += 1) t.equal((await head(PUSHER)).status, 200)
  t.same(seen, [true, true, true])
  seen.length = 0
  t.equal((await head(READER)).status, 200)
  t.same(seen, [])
})

t.test('R407: a write is refused openly, and alike for what is there and what is not', async t => {
  const { ask, registry, digest, blob } = await open(t)
  const write = (from: string, method: string, path: string) => ask(from, `/v2/${path}`, { method })
  const refused = new Set<string>()
  for (const name of ['localhost/team/app', 'localhost/none', 'nowhere.example/a'])
    for (const method of ['PUT', 'DELETE']) {
      const answer = await write(READER, method, `${name}/manifests/v1`)
      t.equal(answer.status, 403)
      refused.add(`${method} ${compared(answer)}`)
    }
  t.equal(refused.size, 2, 'one for each method')
  t.match([...refused].join(), /access test/)
  t.same(registry.calls, [])
  for (const [method, rest, status] of [
    ['POST', 'blobs/uploads/', 202],
    ['PUT', 'manifests/edge', 403],
    ['PUT', `manifests/${digest}?tag=v2&tag=edge`, 403],
    // Its body is no manifest, which is looked at behind all that may refuse it.
    ['PUT', 'manifests/v2', 400],
    ['PUT', `manifests/${digest}?tag=v2`, 400],
    ['PUT', `manifests/${digest}`, 400],
    ['DELETE', `manifests/${digest}`, 403],
    ['DELETE', `blobs/${blob}`, 403],
    ['DELETE', 'manifests/v1', 202],
  ] as const)
    t.equal(
      (await write(PUSHER, method, `localhost/team/app/${rest}`)).status,
      status,
      `${method} ${rest}`,
    )
  t.equal((await write(CHIEF, 'PUT', 'docker.io/library/alpine/manifests/v1')).status, 403, 'R116')
})

t.test('R182: nobody mounts what they may not pull', async t => {
  const { ask, registry, blob } = await open(t)
  registry.addBlob('localhost/secret', Buffer.from('a secret'))
  const secret = registry.addBlob('localhost/secret', Buffer.from('another secret'))
  const mount = (from: string, query: string) =>
    ask(from, `/v2/localhost/team/app/blobs/uploads/?${query}`, { method: 'POST' })
  t.equal((await mount(PUSHER, `mount=${secret}&from=localhost%2Fsecret`)).status, 202)
  t.equal((await mount(PUSHER, `mount=${secret}`)).status, 202)
  t.equal((await mount(CHIEF, `mount=${secret}&from=localhost%2Fsecret`)).status, 201)
  t.equal((await mount(PUSHER, `mount=${blob}&from=localhost%2Fteam%2Fapp`)).status, 201)
})

t.test('R71, R407: the catalog shows what may be listed and pulled, in whole pages', async t => {
  const { ask, registry } = await open(t)
  for (let count = 0; count < 3_000; count += 1)
    registry.addBlob(`localhost/hidden/${count}`, Buffer.from('hidden'))
  const listed = async (from: string, query: string) => {
    const names: string[] = []
    let path: string | undefined = `/v2/_catalog?${query}`
    let pages = 0
    while (path !== undefined) {
      const answer = await ask(from, path)
      t.equal(answer.status, 200)
      names.push(...(JSON.parse(String(answer.body)) as { repositories: string[] }).repositories)
      path = /<([^>]+)>/.exec(headerOf(answer, 'link') ?? '')?.[1]
      pages += 1
    }
    return { names, pages }
  }
  const own = ['localhost/team/app', 'localhost/team/other']
  registry.calls.length = 0
  t.same(await listed(READER, 'n=100'), { names: own, pages: 1 })
  t.ok(registry.calls.length <= 3, `${registry.calls.length} reads, however many are hidden`)
  t.same(await listed(READER, 'n=1'), { names: own, pages: 2 }, 'no page behind the last')
  t.same(await listed(READER, 'n=0'), { names: [], pages: 1 })
  t.equal((await listed(CHIEF, 'n=1000')).names.length, 3_004)
  for (const from of [NOBODY, PUSHER]) {
    const refused = await ask(from, '/v2/_catalog')
    t.equal(refused.status, 403, 'nothing may be listed')
  }
})

t.test('R286, R407: a page ends, however many are hidden, and tells of none of them', async t => {
  const { ask, registry } = await open(
    t,
    `
  - { who: "net:${READER}", match: "docker.io/*/secret", allow: [] }
  - { who: "net:${READER}", match: "docker.io/**", allow: [pull, list] }
  - { who: "net:${CHIEF}", match: "**", allow: [pull, list] }
`,
  )
  const HIDDEN = 12_000
  for (let count = 0; count < HIDDEN; count += 1)
    registry.addBlob(`docker.io/hidden${count}/secret`, Buffer.from('hidden'))
  registry.addBlob('docker.io/zebra/app', Buffer.from('shown'))
  const expected = ['docker.io/library/alpine', 'docker.io/team/app', 'docker.io/zebra/app']
  const pages: string[][] = []
  const links: string[] = []
  let path: string | undefined = '/v2/_catalog?n=2'
  while (path !== undefined) {
    registry.calls.length = 0
    const answer = await ask(READER, path)
    t.equal(answer.status, 200)
    t.ok(registry.calls.length <= 102, `${registry.calls.length} steps`)
    pages.push((JSON.parse(String(answer.body)) as { repositories: string[] }).repositories)
    path = /<([^>]+)>/.exec(headerOf(answer, 'link') ?? '')?.[1]
    links.push(path ?? '')
  }
  t.same(pages, [[], expected.slice(0, 2), expected.slice(2)], 'the first ends behind hidden ones')
  t.match(links[0], /^\/v2\/_catalog\?n=2&last=~[\w-]{700,}$/)
  const again = await ask(READER, '/v2/_catalog?n=2')
  t.notMatch(headerOf(again, 'link'), links[0]?.slice(0, 60), 'no two are alike')
  const chiefs = await ask(CHIEF, links[0] ?? '')
  t.equal(chiefs.status, 200, 'a place is no right')
  for (const last of ['~', '~AAAA', `${links[0]?.split('last=')[1]?.slice(0, -8)}AAAAAAAA`]) {
    const refused = await ask(READER, `/v2/_catalog?last=${last}`)
    t.equal(refused.status, 400, last.slice(0, 9))
    t.match(String(refused.body), /PAGINATION_NUMBER_INVALID/)
  }
})

t.test(
  'R626: by no last that a client makes up does a page tell where hidden names are',
  async t => {
    const { ask, registry } = await open(
      t,
      `
  - { who: "net:${READER}", match: "docker.io/*/secret", allow: [] }
  - { who: "net:${READER}", match: "docker.io/**", allow: [pull, list] }
`,
    )
    for (let count = 0; count < 12_000; count += 1)
      registry.addBlob(`docker.io/hidden${count}/secret`, Buffer.from('hidden'))
    registry.addBlob('docker.io/zebra/app', Buffer.from('shown'))
    const pagesAfter = async (last: string) => {
      const pages: string[][] = []
      let path: string | undefined = `/v2/_catalog?n=2&last=${encodeURIComponent(last)}`
      while (path !== undefined) {
        const answer = await ask(READER, path)
        pages.push((JSON.parse(String(answer.body)) as { repositories: string[] }).repositories)
        path = /<([^>]+)>/.exec(headerOf(answer, 'link') ?? '')?.[1]
      }
      return pages
    }
    const [alpine, app, zebra] = ['library/alpine', 'team/app', 'zebra/app'].map(
      name => `docker.io/${name}`,
    )
    for (const last of ['hidden0/x', 'hidden1/secret', 'hidden1/x', 'hidden9/x', 'hiddem/x'])
      t.same(await pagesAfter(`docker.io/${last}`), [[], [alpine, app], [zebra]], last)
    t.same(
      await pagesAfter('docker.io/library/alpine'),
      [[app, zebra]],
      'what is listed is a place',
    )
    t.same(await pagesAfter('docker.io/library/alpines'), [[], [app, zebra]], 'what is not is none')
    t.same(await pagesAfter('docker.io/zz/x'), [[], []])
    t.same(await pagesAfter('no name'), [[], []])
  },
)

t.test('R286: a catalog is judged in small steps, and no further once its client left', async t => {
  const { registry, app, url, leave } = await open(
    t,
    '\n  - { who: "*", match: "docker.io/**", allow: [pull, list] }',
  )
  for (let count = 0; count < 5_000; count += 1)
    registry.addBlob(`docker.io/many/r${count}`, Buffer.from('shown'))
  const path = '/v2/_catalog?n=10000'
  const turns = await turnsDuring(async () => {
    const { repositories } = (await app.inject({ url: path })).json() as { repositories: unknown[] }
    t.equal(repositories.length, 5_002)
  })
  t.ok(turns >= 50, `${turns} turns of the event loop`)
  registry.calls.length = 0
  const { socket } = await openSocket(url)
  const left = once(app.server, 'request').then(([, response]) => once(response, 'close'))
  const begun = Promise.withResolvers<void>()
  const goOn = Promise.withResolvers<void>()
  registry.before = async call => {
    if (call !== 'listRepositories' || registry.calls.length < 3) return
    begun.resolve()
    await goOn.promise
  }
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await begun.promise
  await leave(() => socket.destroy())
  await left
  goOn.resolve()
  // Far more turns than the whole list takes.
  for (let turn = 0; turn < 1_000; turn += 1) await new Promise(setImmediate)
  t.equal(registry.calls.length, 3)
})

t.test('R11, R407: only what everybody may pull is for shared caches', async t => {
  const { ask, digest } = await open(t)
  const cacheControl = async (from: string, name: string) => {
    const answer = await ask(from, `/v2/${name}/manifests/${digest}`)
    t.equal(answer.status, 200)
    return headerOf(answer, 'cache-control')
  }
  for (const from of [CHIEF, READER]) {
    t.match(await cacheControl(from, 'localhost/team/app'), /^private/)
    t.notMatch(await cacheControl(from, 'docker.io/library/alpine'), /private/)
  }
  const all = await open(t, '\n  - { who: "*", match: "**", allow: [pull] }')
  const answer = await all.ask(NOBODY, `/v2/localhost/team/app/manifests/${all.digest}`)
  t.notMatch(headerOf(answer, 'cache-control'), /private/)
})

t.test('R407: the log says which rule denied it', async t => {
  const { ask, untilCompleted } = await open(t)
  await ask(NOBODY, '/v2/localhost/team/app/manifests/v1')
  await ask(READER, '/v2/localhost/team/app/manifests/v1', { method: 'DELETE' })
  t.match(await untilCompleted(2), [
    { status: 404, errorCode: 'MANIFEST_UNKNOWN', deniedBy: 'no access rule is about it' },
    { status: 403, errorCode: 'DENIED', deniedBy: 'access[1]', level: 'info' },
  ])
})

t.test(
  'R407: programs of this machine are looked at once in a connection, for pulls too',
  async t => {
    let asked = 0
    const known = new WeakMap<object, { kind: 'user'; uid: number }>()
    const owners: ConnectionOwners = {
      known: connection => known.get(connection),
      async find(connection) {
        const before = known.get(connection)
        if (before !== undefined) return before
        asked += 1
        const owner = { kind: 'user', uid: 0 } as const
        known.set(connection, owner)
        return owner
      },
    }
    const { ask, registry } = await open(
      t,
      '\n  - { who: local, match: "localhost/**", allow: [pull, list] }',
      { owners },
    )
    const path = '/v2/localhost/team/app/manifests/v1'
    for (let count = 0; count < 4; count += 1) t.equal((await ask(READER, path)).status, 200)
    t.equal(asked, 1)
    const calls = registry.calls.length
    t.equal((await ask(READER, path)).status, 200)
    t.equal(registry.calls.length, calls, 'from memory')
    const passedOn = { headers: { 'x-forwarded-for': '192.0.2.1' } }
    t.equal((await ask(READER, path, passedOn)).status, 404, 'what was passed on is none of them')
    t.equal((await ask(READER, '/v2/_catalog')).status, 200)
  },
)

t.test('R409: who waited for a place is given nothing that was hidden meanwhile', async t => {
  const parts = await open(t, RULES, { places: 1 })
  const { ask, registry, blob, replace, metrics } = parts
  const reading = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  registry.readBlob = async function* (bytes) {
    reading.resolve()
    await released.promise
    yield bytes
  }
  const other = registry.addBlob('localhost/team/app', Buffer.from('another blob of the team'))
  const first = ask(READER, `/v2/localhost/team/app/blobs/${blob}`)
  await reading.promise
  const waiting = ask(CHIEF, `/v2/localhost/team/app/blobs/${other}`)
  while (!(await metrics.render()).text.includes('entrepot_streams_waiting 1\n'))
    await new Promise(setImmediate)
  replace(`
  - { who: "net:${READER}", match: "**", allow: [pull] }
`)
  released.resolve()
  t.equal((await first).status, 200, 'what is being sent goes on')
  t.equal((await waiting).status, 404)
  t.equal(registry.opened, 1, 'nothing was opened for it')
})

t.test('R409: what was looked up before a reload is not given after it', async t => {
  const { ask, registry, replace, lines } = await open(t)
  const asked = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  registry.before = async call => {
    if (call.startsWith('listTags')) asked.resolve()
    await released.promise
  }
  const manifest = ask(READER, '/v2/localhost/team/app/manifests/v1')
  const tags = ask(CHIEF, '/v2/localhost/team/app/tags/list')
  await asked.promise
  while (registry.calls.length < 2) await new Promise(setImmediate)
  replace(`
  - { who: "net:${NOBODY}", match: "**", allow: [pull] }
`)
  released.resolve()
  for (const answer of await Promise.all([manifest, tags])) {
    t.equal(answer.status, 404)
    t.notMatch(String(answer.body), 'schemaVersion')
  }
  t.match(
    lines().filter(({ status }) => status === 404),
    [{ deniedBy: 'no access rule is about it' }, { deniedBy: 'no access rule is about it' }],
  )
})

t.test('R605: an answer that waited through a reload is for whom it is then', async t => {
  const everybody = '\n  - { who: "*", match: "localhost/team/**", allow: [pull] }\n'
  const { ask, registry, replace, digest } = await open(t, everybody)
  const asked = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  registry.before = async () => {
    asked.resolve()
    await released.promise
  }
  const path = `/v2/localhost/team/app/manifests/${digest}`
  const waiting = ask(READER, path)
  await asked.promise
  replace(RULES)
  released.resolve()
  const answer = await waiting
  t.equal(answer.status, 200)
  t.equal(headerOf(answer, 'cache-control'), headerOf(await ask(READER, path), 'cache-control'))
  t.match(headerOf(answer, 'cache-control'), 'private')
})
