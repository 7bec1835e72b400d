// Goal: what is here of a pushed manifest that is lost is there when its file is brought back.
// Method: the whole edge, three times over one directory: pushed to; without its catalog and that
// file, while all that would take away what it lists is done; and with the file again.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { Digest } from '../../../src/oci/digest.ts'
import { UNUSED_MS } from '../../../src/registry/collect/collect.ts'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { NO_UPSTREAM } from '../../kit/worlds/edge-push.ts'
import { type Document, makeImage, makeIndex } from '../../kit/image.ts'
import { createPushClient } from '../../kit/clients/push-client.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const image = makeImage({ seed: 'lost', layers: [10] })
const parts = [image.config, ...image.layers]
// With the same layer, and one more.
const platform = { os: 'linux', architecture: 'arm64' }
const sharing = makeImage({ seed: 'lost', layers: [10, 20], platform })
const COMPARED = 'what is kept beside the content was compared with the catalog'

async function push(t: Test, edge: TestEdge, name: string, pushed: typeof image): Promise<void> {
  const client = createPushClient(edge.url)
  t.teardown(() => client.close())
  for (const part of [pushed.config, ...pushed.layers])
    t.equal((await client.blob(name, Buffer.from(part.bytes()))).status, 201)
  t.equal((await client.manifest(name, 'v1', pushed.manifest)).status, 201)
}

/** All that was pushed is given again, but for what `meanwhile` could take while it was lost. */
async function lose(
  t: Test,
  { before, meanwhile, upstreams = NO_UPSTREAM, lost = image.manifest }: Losing,
): Promise<TestEdge> {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-lost-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const data = join(directory, 'data')
  const start = () => startTestEdge(t, { directory, upstreams })
  const pushed = await start()
  await push(t, pushed, 'localhost/app', image)
  await before?.(pushed)
  await pushed.stop()
  const file = fileOf(data, lost.digest)
  const bytes = await readFile(file)
  rmSync(file)
  for (const name of readdirSync(data)) if (name.startsWith('catalog.db')) rmSync(join(data, name))

  const without = await start()
  await without.untilLogged('files without rows were adopted')
  await meanwhile(without)
  for (const { digest } of parts) t.ok(existsSync(fileOf(data, digest)), `${digest} is here`)
  await without.stop()

  await writeFile(file, bytes)
  await chmod(file, 0o440)
  const again = await start()
  t.match(await again.untilLogged(COMPARED), { lost: 0 })
  t.equal((await again.get('/v2/localhost/app/manifests/v1')).status, 200)
  for (const { digest } of parts)
    t.equal((await again.get(`/v2/localhost/app/blobs/${digest}`)).status, 200)
  return again
}

interface Losing {
  readonly before?: (edge: TestEdge) => Promise<void>
  readonly meanwhile: (edge: TestEdge) => Promise<void>
  readonly upstreams?: Parameters<typeof startTestEdge>[1]['upstreams']
  /** Default the image. */
  readonly lost?: Pick<Document, 'digest'>
}

function fileOf(data: string, digest: Digest): string {
  const hex = digest.slice('sha256:'.length)
  return join(data, 'blobs', 'sha256', hex.slice(0, 2), hex)
}

/** Once it is noted since when it was needed by nothing, and for the passes when that is over. */
async function collect(edge: TestEdge): Promise<void> {
  for (const _ of ['noted', 'over', 'gone']) await edge.pass(DAY_MS)
}

t.test('R431: what lies here for a lost manifest stays until that is found', async t => {
  await lose(t, {
    meanwhile: async edge => {
      const told = await edge.untilLogged('files without rows were adopted')
      t.match(told, { files: parts.length, hint: /none leaves before that is given up/ })
      for (let passed = 0; passed <= UNUSED_MS + DAY_MS; passed += DAY_MS) await edge.pass(DAY_MS)
    },
  })
})

t.test('R610: also what an image lists that is pulled meanwhile, and leaves', async t => {
  const stub = await startStub(t)
  stub.addImage('library/app', 'v1', sharing)
  const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
  const pull = async (t: Test, edge: TestEdge) => {
    const path = '/v2/docker.io/library/app'
    t.equal((await edge.get(`${path}/manifests/v1`)).status, 200)
    for (const { digest } of [sharing.config, ...sharing.layers])
      t.equal((await edge.get(`${path}/blobs/${digest}`)).status, 200)
  }
  const isHere = (edge: TestEdge) => existsSync(fileOf(edge.dataDirectory, sharing.manifest.digest))

  await t.test('for lack of room', t =>
    lose(t, {
      upstreams,
      meanwhile: async edge => {
        await pull(t, edge)
        await edge.reloaded(upstreams, { storage: { maxsize: '1MiB', lowwater: '1%' } })
        await edge.settle(edge.untilLogged('content was evicted'))
        t.notOk(isHere(edge))
      },
    }),
  )
  await t.test('by a purge, and a collection long after', async t => {
    const again = await lose(t, {
      upstreams,
      meanwhile: async edge => {
        await pull(t, edge)
        const socket = ['--socket', edge.socket]
        t.match(await runCli(['purge', 'docker.io/library/app', ...socket]), { exitCode: 0 })
        t.notOk(isHere(edge))
        await collect(edge)
      },
    })
    t.match(await again.send('DELETE', `/v2/localhost/app/manifests/${image.manifest.digest}`), {
      status: 202,
    })
    await collect(again)
    t.notOk(
      parts.some(({ digest }) => existsSync(fileOf(again.dataDirectory, digest))),
      'once it is found, what it lists leaves as any other',
    )
  })
})

t.test(
  'R613: what was cached before is not taken for room that nobody would have by it',
  async t => {
    const stub = await startStub(t)
    const cached = ['a', 'b'].map(seed => makeImage({ seed, layers: [10, 20] }))
    cached.forEach((each, at) => stub.addImage(`library/app${at}`, 'v1', each))
    const upstreams = { 'docker.io': { url: stub.url, prefetch: false } }
    const isOffline = { 'docker.io': { url: stub.url, prefetch: false, offline: true } }
    const pullAll = async (edge: TestEdge) => {
      for (const [at, { config, layers }] of cached.entries()) {
        const path = `/v2/docker.io/library/app${at}`
        t.equal((await edge.get(`${path}/manifests/v1`)).status, 200)
        for (const { digest } of [config, ...layers])
          t.equal((await edge.get(`${path}/blobs/${digest}`)).status, 200)
      }
    }
    await lose(t, {
      upstreams,
      before: pullAll,
      meanwhile: async edge => {
        await pullAll(edge)
        await edge.reloaded(upstreams, { storage: { maxsize: '1MiB', lowwater: '1%' } })
        await edge.settle(edge.untilLogged('there is no room, and nothing that may leave for it'))
        const socket = ['--socket', edge.socket]
        for (const how of [['--dry-run'], []])
          t.match(await edge.settle(runCli(['evict', ...how, ...socket])), {
            exitCode: 0,
            stdout: /pushed manifest that is lost/,
          })
        // R633
        const why = await runCli(['why', 'docker.io/library/app0:v1', ...socket])
        t.match(why, { exitCode: 0, stdout: /something that was pushed here is lost/ })
        t.notMatch(why.stdout, /leave before it/)
        await edge.reloaded(isOffline, {})
        await pullAll(edge)
      },
    })
  },
)

t.test('R715: of an image whose layers alone stay, why and a dry run know that', async t => {
  const stub = await startStub(t)
  const upon = makeImage({ seed: 'lost', layers: [10], platform })
  stub.addImage('library/app', 'v1', upon)
  await lose(t, {
    upstreams: { 'docker.io': { url: stub.url, prefetch: false } },
    meanwhile: async edge => {
      const path = '/v2/docker.io/library/app'
      t.equal((await edge.get(`${path}/manifests/v1`)).status, 200)
      for (const { digest } of [upon.config, ...upon.layers])
        t.equal((await edge.get(`${path}/blobs/${digest}`)).status, 200)
      const run = async (command: string, ...args: string[]) => {
        const told = await runCli([command, ...args, '--json', '--socket', edge.socket])
        return JSON.parse(told.stdout) as { now?: string[]; count?: number }
      }
      const { now } = await run('why', 'docker.io/library/app:v1')
      t.match(now?.at(-1), /^something that was pushed here is lost/)
      // R718
      const dry = await run('purge', 'docker.io/library/app', '--dry-run')
      t.match(dry, { count: 1 })
      t.strictSame(await run('purge', 'docker.io/library/app'), { ...dry, dryRun: false })
    },
  })
})

t.test('R610: also what another pushed image lists, which is deleted meanwhile', async t => {
  await lose(t, {
    before: edge => push(t, edge, 'localhost/other', sharing),
    meanwhile: async edge => {
      t.match(
        await edge.send('DELETE', `/v2/localhost/other/manifests/${sharing.manifest.digest}`),
        { status: 202 },
      )
      await collect(edge)
    },
  })
})

t.test('R680: an image that a lost index lists is not taken with another index', async t => {
  const [kept, deleted] = [makeIndex([image]), makeIndex([image, sharing])]
  const again = await lose(t, {
    lost: kept.manifest,
    before: async edge => {
      await push(t, edge, 'localhost/app', sharing)
      const client = createPushClient(edge.url)
      t.teardown(() => client.close())
      for (const [tag, { manifest }] of Object.entries({ v1: kept, v2: deleted }))
        t.equal((await client.manifest('localhost/app', tag, manifest)).status, 201)
    },
    meanwhile: async edge => {
      const path = `/v2/localhost/app/manifests/${deleted.manifest.digest}`
      t.equal((await edge.send('DELETE', path)).status, 202)
      await collect(edge)
      for (const how of [['--dry-run'], []])
        t.match(await runCli(['gc', ...how, '--socket', edge.socket]), {
          exitCode: 0,
          stdout: /localhost\/app stays, since something is lost/,
        })
    },
  })
  const status = async ({ manifest }: typeof image) =>
    (await again.get(`/v2/localhost/app/manifests/${manifest.digest}`)).status
  t.equal(await status(image), 200)
  await collect(again)
  t.equal(await status(sharing), 404, 'once it is found, what nothing reaches goes')
})
