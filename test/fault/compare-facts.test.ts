// Goal: a fact that a killed process has left of what it never acknowledged does not come true when
// the catalog is lost much later; and after a stop in order no start looks for such facts. Method:
// the real process; while it is down a tag's fact is changed as a push that is cut off does it.
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parseTag, type RepositoryKey } from '../../src/oci/reference.ts'
import type { Digest } from '../../src/oci/digest.ts'
import { factName, formatFact } from '../../src/store/fact-text.ts'
import { type EdgeProcess, startEdge } from '../kit/worlds/edge-process.ts'
import { createPushClient, manifestOver } from '../kit/clients/push-client.ts'
import { blobPath } from '../kit/disk/store-directory.ts'

t.setTimeout(300_000)

const REPOSITORY = 'localhost/team/app'
const COMPARED = 'what is kept beside the content was compared with the catalog'
const ADOPTED = 'files without rows were adopted'

/** A small manifest of its own; returns its digest. */
async function push(edge: EdgeProcess, seed: string, tag?: string): Promise<string> {
  const client = createPushClient(edge.url)
  const config = Buffer.from(JSON.stringify({ seed }))
  const manifest = manifestOver(config, [])
  await client.blob(REPOSITORY, config)
  const { status } = await client.manifest(REPOSITORY, tag ?? manifest.digest, manifest)
  client.close()
  if (status !== 201) throw new Error(`the push was answered with ${status}`)
  return manifest.digest
}

function cutOffPush(edge: EdgeProcess, tag: string, digest: string): void {
  const repository = REPOSITORY as RepositoryKey
  const named = { kind: 'tag', repository, tag: parseTag(tag) } as const
  const fact = { ...named, digest: digest as Digest, atMs: 1 }
  const path = join(edge.dataDirectory, 'facts', factName(fact))
  // Its mode is that of a fact: it is replaced, not written to.
  rmSync(path)
  writeFileSync(path, formatFact(fact, ''), { mode: 0o440 })
}

async function start(t: Test): Promise<EdgeProcess> {
  const edge = await startEdge({ config: { default: 'localhost', log: { level: 'debug' } } })
  t.teardown(() => edge.stop())
  return edge
}

async function loseCatalog(edge: EdgeProcess): Promise<void> {
  for (const suffix of ['', '-wal', '-shm'])
    await rm(join(edge.dataDirectory, `catalog.db${suffix}`), { force: true })
}

async function digestOf(edge: EdgeProcess, tag: string): Promise<unknown> {
  const { headers } = await edge.send('HEAD', `/v2/${REPOSITORY}/manifests/${tag}`)
  return headers['docker-content-digest']
}

t.test(
  'after a kill facts are put right, and a catalog that is lost later is built from them',
  async t => {
    const edge = await start(t)
    const acknowledged = await push(edge, 'acknowledged', 'v1')
    const never = await push(edge, 'never', undefined)
    await edge.kill()
    cutOffPush(edge, 'v1', never)
    const from = edge.logs.length
    await edge.restart()
    t.match(await edge.untilLogged(({ msg }) => msg === COMPARED, from), { mended: 1 })
    t.equal(await digestOf(edge, 'v1'), acknowledged)
    await edge.kill()
    await loseCatalog(edge)
    await edge.restart()
    t.equal(await digestOf(edge, 'v1'), acknowledged)
  },
)

t.test('a manifest whose fact is lost gets it again while a tag leads to it', async t => {
  const edge = await start(t)
  const acknowledged = (await push(edge, 'acknowledged', 'v1')) as Digest
  await edge.kill()
  const repository = REPOSITORY as RepositoryKey
  const fact = factName({ kind: 'manifest', repository, digest: acknowledged })
  rmSync(join(edge.dataDirectory, 'facts', fact))
  const from = edge.logs.length
  await edge.restart()
  t.match(await edge.untilLogged(({ msg }) => msg === COMPARED, from), { mended: 1 })
  await edge.kill()
  await loseCatalog(edge)
  await edge.restart()
  t.equal(await digestOf(edge, 'v1'), acknowledged)
})

t.test('after a stop in order nothing is compared', async t => {
  const edge = await start(t)
  // Stopped before, it would look again.
  await edge.untilLogged(({ msg }) => msg === ADOPTED)
  await push(edge, 'acknowledged', 'v1')
  const other = await push(edge, 'other', undefined)
  await edge.terminate()
  cutOffPush(edge, 'v1', other)
  await edge.restart()
  await push(edge, 'one more', 'v2')
  await edge.terminate()
  t.notOk(edge.logs.some(({ msg }) => msg === COMPARED))
  await loseCatalog(edge)
  await edge.restart()
  t.equal(await digestOf(edge, 'v1'), other, 'what was changed is as it was changed')
})

for (const end of ['kill', 'terminate'] as const)
  t.test(
    `R264: a push whose bytes were gone when the catalog was built is back with them, after a ${end}`,
    async t => {
      const edge = await start(t)
      const acknowledged = await push(edge, 'acknowledged', 'v1')
      await push(edge, 'other', 'v2')
      const file = blobPath(edge.dataDirectory, acknowledged)
      await edge.kill()
      await loseCatalog(edge)
      await rename(file, `${edge.dataDirectory}/away`)
      await edge.restart()
      t.equal(await digestOf(edge, 'v1'), undefined, 'nothing is told that is not here')
      await edge[end]()
      await rename(`${edge.dataDirectory}/away`, file)
      const from = edge.logs.length
      await edge.restart()
      t.match(await edge.untilLogged(({ msg }) => msg === COMPARED, from), { mended: 2, lost: 0 })
      t.equal(await digestOf(edge, 'v1'), acknowledged)
      await edge.terminate()
      await loseCatalog(edge)
      await edge.restart()
      t.equal(await digestOf(edge, 'v1'), acknowledged, 'its facts were never deleted')
    },
  )
