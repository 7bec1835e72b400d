// The columns of the matrix: what every client must get from an edge, through a pull, a dead
// upstream, a moved tag and two kinds of sudden death. Each cell makes its own image, so nothing is
// warm by chance; the gate in front of the upstream is the witness.
import type { Test } from 'tap'
import type { Image } from '../kit/image.ts'
import type { ClientDriver, Pulled, PullRequest } from './client-driver.ts'
import type { TestEdge } from './edge.ts'
import { blobBytes, type Gate, type Hold } from './gate.ts'
import { blobsOf, layeredImage, push, twoPlatforms } from './images.ts'
import type { UpstreamServer } from './upstream-servers.ts'

/** One client in front of one edge in front of one upstream. */
export interface Row {
  /** Part of repository names; no two rows share one. */
  readonly slug: string
  readonly driver: ClientDriver
  readonly edge: TestEdge
  readonly gate: Gate
  readonly upstream: UpstreamServer
}

type Cell = (t: Test, row: Row) => Promise<void>

const SMALL_LAYERS = [20_000, 30_000]
/**
 * The second layer is stopped at the barrier: after some of it can be on disk and before most of it
 * is.
 */
const STOPPED_LAYERS = [20_000, 8 * 1024 * 1024]
const BARRIER_BYTES = 3 * 1024 * 1024
/** What of this must come to disk while nothing more arrives: the rest may be in buffers. */
const ON_DISK_BYTES = 1024 * 1024

/**
 * In the order in which a row runs them: a breaker that opened for the stopped upstream harms no
 * other cell.
 */
export const CELLS = {
  'by tag': byTag,
  'by digest': byDigest,
  'multi-platform': multiPlatform,
  'tag moved': tagMoved,
  'client killed': clientKilled,
  'edge killed': edgeKilled,
  'upstream stopped': upstreamStopped,
} as const satisfies Record<string, Cell>

export type CellName = keyof typeof CELLS

async function byTag(t: Test, row: Row): Promise<void> {
  const image = layeredImage({ seed: row.slug, layerBytes: SMALL_LAYERS, mediaTypes: 'docker' })
  const request = { name: `library/${row.slug}-tag`, reference: 'v1' }
  await publish(row, image, request)
  await pullTwice(t, row, { image, request })
}

async function byDigest(t: Test, row: Row): Promise<void> {
  const image = layeredImage({ seed: `${row.slug}-digest`, layerBytes: SMALL_LAYERS })
  const name = `library/${row.slug}-digest`
  await publish(row, image, { name, reference: 'v1' })
  const request = { name, reference: image.manifest.digest }
  await pullTwice(t, row, { image, request })
  t.same(manifestRequests(row.gate), [], 'and its manifest is not asked for again either')
}

async function multiPlatform(t: Test, row: Row): Promise<void> {
  const image = twoPlatforms({ seed: `${row.slug}-multi`, layerBytes: SMALL_LAYERS })
  const request = { name: `library/${row.slug}-multi`, reference: 'v1' }
  await publish(row, image, request)
  row.gate.forget()
  for (const architecture of ['amd64', 'arm64']) {
    await row.driver.emptyStore()
    const pulled = await row.driver.pull({ ...request, architecture })
    checkPulled(t, pulled, { image, architecture })
  }
  checkOnce(t, row, image)
  for (const architecture of ['amd64', 'arm64']) {
    await pullWarm(t, row, { image, request: { ...request, architecture } })
  }
}

async function tagMoved(t: Test, row: Row): Promise<void> {
  const name = `library/${row.slug}-moved`
  const [before, after] = ['a', 'b'].map(letter =>
    layeredImage({ seed: `${row.slug}-${letter}`, layerBytes: SMALL_LAYERS }),
  ) as [Image, Image]
  const tags = ['v1', 'held'] as const
  for (const reference of tags) await publish(row, before, { name, reference })
  for (const reference of tags) {
    checkPulled(t, await row.driver.pull({ name, reference }), { image: before })
  }
  for (const reference of tags) await publish(row, after, { name, reference })
  await row.driver.emptyStore()
  row.gate.forget()
  const fresh = await row.driver.pull({ name, reference: 'held' })
  checkPulled(t, fresh, { image: before })
  t.same(manifestRequests(row.gate), [], 'within its ttl a tag is the old digest, unasked')
  await row.driver.emptyStore()
  const moved = await row.driver.pull({ name, reference: 'v1' })
  checkPulled(t, moved, { image: after })
  t.notOk(moved.resolved.includes(before.manifest.digest), 'past its ttl it is not the old digest')
}

async function clientKilled(t: Test, row: Row): Promise<void> {
  const { driver, edge, gate } = row
  const { image, request, stopped } = await publishStopped(row, 'orphan')
  const from = edge.logEnd()
  const hold = gate.hold(stopped.digest, BARRIER_BYTES)
  const pulling = settle(driver.pull(request))
  await reachedDuring(pulling, hold)
  // The edge fetches ahead: at the barrier the client may not have asked yet.
  await edge.askedFor(stopped.digest, from)
  await driver.kill()
  t.ok((await pulling).error, 'the pull of the killed client failed')
  await edge.blobAnswered(stopped.digest, { outcome: 'aborted', from })
  hold.release()
  await edge.filled(stopped.digest, from)
  t.equal(blobBytes(gate.passed(), stopped.digest), stopped.sizeBytes, 'the fill went on alone')
  gate.forget()
  await driver.revive()
  checkPulled(t, await driver.pull(request), { image })
  t.equal(blobBytes(gate.passed(), stopped.digest), 0, 'no byte of it is asked for again')
}

async function edgeKilled(t: Test, row: Row): Promise<void> {
  const { driver, edge, gate } = row
  const { image, request, stopped } = await publishStopped(row, 'crash')
  const hold = gate.hold(stopped.digest, BARRIER_BYTES)
  const pulling = settle(driver.pull(request))
  await reachedDuring(pulling, hold)
  await edge.partReaches(stopped.digest, ON_DISK_BYTES)
  await edge.kill()
  const onDisk = edge.believedBytes(stopped.digest)
  gate.forget()
  hold.release()
  await edge.restart()
  const first = await pulling
  // Some clients try again by themselves, others leave that to who called them.
  checkPulled(t, first.value ?? (await driver.pull(request)), { image })
  const again = gate.passed().filter(({ path }) => path.endsWith(stopped.digest))
  t.comment(`${onDisk} of ${stopped.sizeBytes} bytes were on disk; asked for: ${ranges(again)}`)
  const missing = stopped.sizeBytes - onDisk
  const asked = blobBytes(gate.passed(), stopped.digest)
  t.ok(asked <= missing, `${asked} bytes were fetched again, ${missing} were not on disk`)
}

async function upstreamStopped(t: Test, row: Row): Promise<void> {
  const { driver, gate, upstream } = row
  const image = twoPlatforms({ seed: `${row.slug}-gone`, layerBytes: SMALL_LAYERS })
  const request = { name: `library/${row.slug}-gone`, reference: 'v1' }
  await publish(row, image, request)
  checkPulled(t, await driver.pull(request), { image })
  await gate.close()
  await upstream.stop()
  try {
    await pullWarm(t, row, { image, request })
    await pullWarm(t, row, { image, request: { ...request, reference: image.manifest.digest } })
  } finally {
    await upstream.start()
    await gate.open()
  }
}

interface Wanted {
  readonly image: Image
  readonly request: PullRequest
}

async function publish(row: Row, image: Image, { name, reference }: PullRequest): Promise<void> {
  await push(row.upstream.url(), image, { name, tag: reference })
}

async function publishStopped(row: Row, word: string) {
  const image = layeredImage({ seed: `${row.slug}-${word}`, layerBytes: STOPPED_LAYERS })
  const request = { name: `library/${row.slug}-${word}`, reference: 'v1' }
  await publish(row, image, request)
  const stopped = image.layers[1]
  if (stopped === undefined) throw new Error('there is no second layer')
  return { image, request, stopped }
}

/** Cold, each byte once; then from an empty client, no byte. */
async function pullTwice(t: Test, row: Row, wanted: Wanted): Promise<void> {
  row.gate.forget()
  checkPulled(t, await row.driver.pull(wanted.request), wanted)
  checkOnce(t, row, wanted.image)
  await pullWarm(t, row, wanted)
}

/**
 * From an empty client; the edge's log shows that the blobs came from it, the gate that it asked
 * nobody.
 */
async function pullWarm(t: Test, row: Row, { image, request }: Wanted): Promise<void> {
  const { architecture } = request
  await row.driver.emptyStore()
  row.gate.forget()
  const from = row.edge.logEnd()
  checkPulled(t, await row.driver.pull(request), {
    image,
    ...(architecture === undefined ? {} : { architecture }),
  })
  for (const { digest } of platformOf(image, architecture).layers) {
    await row.edge.blobAnswered(digest, { outcome: 'completed', from })
  }
  const blobs = row.gate.passed().filter(({ path }) => path.includes('/blobs/'))
  t.same(blobs, [], `${request.reference.slice(0, 12)}: the second pull asks for no blob upstream`)
}

function checkOnce(t: Test, row: Row, image: Image): void {
  for (const { digest, sizeBytes } of blobsOf(image)) {
    t.equal(blobBytes(row.gate.passed(), digest), sizeBytes, `each byte of ${digest} once`)
  }
}

/**
 * The client names the right digest, and holds the config, the manifest or all layers of the
 * platform.
 */
function checkPulled(
  t: Test,
  { resolved, holds }: Pulled,
  { image, architecture }: { image: Image; architecture?: string },
): void {
  const { config, manifest, layers } = platformOf(image, architecture)
  t.ok(resolved.includes(image.manifest.digest), 'the client names the digest', {
    resolved,
    wanted: image.manifest.digest,
  })
  const all = layers.every(layer => holds.has(layer.digest))
  t.ok(holds.has(config.digest) || holds.has(manifest.digest) || all, 'the client holds the image')
}

function platformOf(image: Image, architecture = 'amd64'): Image {
  const child = image.children.find(({ descriptor }) => {
    return descriptor.platform?.architecture === architecture
  })
  return child ?? image
}

function manifestRequests(gate: Gate): readonly string[] {
  return gate
    .passed()
    .filter(({ path }) => path.includes('/manifests/'))
    .map(({ method, path }) => `${method} ${path}`)
}

function ranges(passed: ReturnType<Gate['passed']>): string {
  return passed.map(({ range, status }) => `${range ?? 'everything'} (${status})`).join(', ')
}

/** @throws what the pull failed with before it came to the barrier. */
async function reachedDuring(pulling: Promise<Settled<Pulled>>, hold: Hold): Promise<void> {
  const early = pulling.then(({ error }) => {
    throw error ?? new Error('the pull ended before the barrier')
  })
  await Promise.race([hold.reached, early])
  early.catch(() => {})
}

type Settled<T> = { value: T; error?: never } | { value?: never; error: Error }

function settle<T>(promise: Promise<T>): Promise<Settled<T>> {
  return promise.then(
    value => ({ value }),
    (error: Error) => ({ error }),
  )
}
