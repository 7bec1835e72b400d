// Goal: what is fetched after a HEAD is bounded for each client and for all, and is left where the
// upstream has nothing to spare (R291). Method: the engine over in-memory twins, a manual clock,
// and an upstream that has a small image for every tag.
import t from 'tap'
import type { Digest } from '../../../../src/oci/digest.ts'
import {
  formatReference,
  parseRepositoryKey,
  type Reference,
  type Tag,
} from '../../../../src/oci/reference.ts'
import { type Upstream, UpstreamError } from '../../../../src/registry/ports/upstream.ts'
import {
  createEngine,
  DOCKER_IO,
  type EngineOptions,
  repositoryOf,
  upstreamOf,
} from '../../../kit/engine.ts'
import { type Image, makeImage, makeIndex } from '../../../kit/image.ts'
import { settle } from '../../../kit/settle.ts'

const app = repositoryOf('library/app')
const other = repositoryOf('library/other')
/** See registry/pull/headed-manifests.ts. */
const OF_ONE_CLIENT = 50
const AT_ONCE = 2
const WAITING = 256

interface Scene extends Omit<EngineOptions, 'upstream'> {
  /** Given for the tag `index`, and its children by their digests. */
  readonly index?: Image
  /** Given by their digests, like their children. */
  readonly others?: readonly Image[]
  readonly rateLimitRemaining?: number
  readonly breaker?: 'closed' | 'open'
  /** Each GET waits for `release`. */
  readonly isHeld?: boolean
}

function createScene({
  index,
  others = [],
  rateLimitRemaining,
  breaker,
  isHeld,
  ...options
}: Scene = {}) {
  const fetched: Digest[] = []
  const held: (() => void)[] = []
  const known = new Map<string, Image>()
  for (const image of index === undefined ? others : [index, ...others])
    for (const each of [image, ...image.children]) known.set(each.manifest.digest, each)
  const imageOf = (reference: Reference) => {
    const text = formatReference(reference)
    if (text === 'index' && index !== undefined) return index.manifest
    if (reference.kind === 'tag') {
      const image = makeImage({ seed: text, layers: [10] })
      known.set(image.manifest.digest, image)
      return image.manifest
    }
    const image = known.get(text)
    if (image === undefined) throw new UpstreamError('not-found', 'no such manifest')
    return image.manifest
  }
  const upstream: Partial<Upstream> = {
    headManifest: async (_name, reference) => {
      const { digest, mediaType, bytes } = imageOf(reference)
      return { digest, mediaType, sizeBytes: bytes.length, warnings: [] }
    },
    getManifest: async (_name, reference) => {
      const { digest, mediaType, bytes } = imageOf(reference)
      fetched.push(digest)
      if (isHeld) await new Promise<void>(resolve => held.push(resolve))
      return { bytes, mediaType, declaredDigest: digest, warnings: [] }
    },
    health: () => ({
      registry: DOCKER_IO,
      breaker: breaker ?? 'closed',
      retryAtMs: undefined,
      lastFailure: undefined,
      lastFinding: undefined,
      credentials: undefined,
      rateLimitRemaining,
    }),
  }
  const engine = createEngine({ prefetch: true, ...options, upstream })
  const ask = (method: 'headManifest' | 'pullManifest') => (tag: string, client: string) =>
    engine.registry[method](app, {
      reference: { kind: 'tag', tag: tag as Tag },
      accept: [],
      client,
    })
  const release = async () => {
    for (const go of held.splice(0)) go()
    await settle()
  }
  return { ...engine, fetched, held, head: ask('headManifest'), release }
}

type SceneRun = ReturnType<typeof createScene>

async function scan({ head }: SceneRun, count: number, client: string, prefix = 'v') {
  for (let n = 0; n < count; n += 1) await head(`${prefix}${n}`, client)
  await settle()
}

t.test('R291: a scanner of very many tags costs some manifests, and one a minute', async t => {
  const scene = createScene()
  await scan(scene, 120, 'scanner')
  t.equal(scene.fetched.length, OF_ONE_CLIENT)
  t.equal(new Set(scene.fetched).size, OF_ONE_CLIENT, 'each once')
  await scan(scene, 120, 'scanner')
  t.equal(scene.fetched.length, OF_ONE_CLIENT, 'nor does a second round begin anew')
  await scene.clock.advance(60_000)
  await scan(scene, 120, 'scanner')
  t.equal(scene.fetched.length, OF_ONE_CLIENT + 1)
  await scan(scene, 20, 'somebody else', 'w')
  t.equal(scene.fetched.length, OF_ONE_CLIENT + 21, 'others are fetched for as before')
  await scene.clock.advance(3_600_000)
  await scan(scene, 120, 'scanner', 'x')
  t.equal(scene.fetched.length, 2 * OF_ONE_CLIENT + 21, 'no more in a row after a long time')
})

t.test('R291: a few are fetched at once, some hundred wait, more are left', async t => {
  const scene = createScene({ isHeld: true })
  const { head, fetched, held, release } = scene
  for (let n = 0; n < 300; n += 1) await head(`v${n}`, `client ${n}`)
  await settle()
  t.equal(fetched.length, AT_ONCE)
  while (held.length > 0) {
    t.ok(held.length <= AT_ONCE)
    await release()
  }
  t.equal(fetched.length, AT_ONCE + WAITING)
  await head('v299', 'client 299')
  await settle()
  t.equal(fetched.length, AT_ONCE + WAITING + 1, 'the next HEAD tells of it again')
})

t.test('R291: where the upstream has nothing to spare, a HEAD begins nothing', async t => {
  const scenes = {
    'few requests are left': createScene({ rateLimitRemaining: 49 }),
    'it fails': createScene({ breaker: 'open' }),
    'nothing is to be fetched ahead': createScene({ prefetch: false }),
  }
  for (const [why, scene] of Object.entries(scenes)) {
    await scan(scene, 3, 'client')
    t.same(scene.fetched, [], why)
  }
  const enough = createScene({ rateLimitRemaining: 50 })
  await scan(enough, 3, 'client')
  t.equal(enough.fetched.length, 3)
})

t.test('R291: an index brings the child that this client runs, and no other', async t => {
  const architectures = ['amd64', 'arm64', 's390x']
  const indexOf = (seed: string) =>
    makeIndex(
      architectures.map(architecture =>
        makeImage({ seed, layers: [10], platform: { architecture, os: 'linux' } }),
      ),
    )
  const [pulled, index] = [indexOf('pulled'), indexOf('index')]
  const { registry, head, fetched } = createScene({ index, others: [pulled] })
  const pull = (digest: Digest) =>
    registry.pullManifest(other, {
      reference: { kind: 'digest', digest },
      accept: [],
      client: 'arm',
    })
  await pull(pulled.manifest.digest)
  const [, runs] = pulled.children
  if (runs === undefined) throw new Error('three children')
  await pull(runs.manifest.digest)
  fetched.length = 0
  await head('index', 'arm')
  await settle()
  t.same(fetched, [index.manifest.digest, index.children[1]?.manifest.digest])
})

t.test('R291: an index brings children that another repository has, a few of them', async t => {
  const children = ['amd64', 'arm64', 'arm', '386', 's390x', 'ppc64le'].map(architecture =>
    makeImage({ seed: 'brought', layers: [10], platform: { architecture, os: 'linux' } }),
  )
  const index = makeIndex(children)
  const { registry, head, fetched } = createScene({ index })
  const brought = children.slice(1).map(({ manifest }) => manifest.digest)
  for (const digest of brought)
    await registry.pullManifest(other, { reference: { kind: 'digest', digest }, accept: [] })
  fetched.length = 0
  await head('index', 'nobody knows')
  await settle()
  t.same(fetched, [index.manifest.digest, ...brought.slice(0, 4)])
})

t.test('R252: no registry learns by a HEAD which manifests of a private one are here', async t => {
  const child = makeImage({ seed: 'secret', layers: [10] })
  const index = makeIndex([child])
  const corp = parseRepositoryKey('registry.corp.example/app')
  const given = { ...child.manifest, declaredDigest: child.manifest.digest, warnings: [] }
  const upstream = upstreamOf({ registry: corp.registry, getManifest: async () => given })
  const { registry, head, fetched } = createScene({ index, beside: [{ upstream, shares: false }] })
  const { digest } = child.manifest
  await registry.pullManifest(corp, { reference: { kind: 'digest', digest }, accept: [] })
  await head('index', 'nobody knows')
  await settle()
  t.same(fetched, [index.manifest.digest])
})

t.test('R291: where nothing tells what a client runs, an index comes alone', async t => {
  const index = makeIndex([makeImage({ seed: 'alone', layers: [10] })])
  const { head, fetched } = createScene({ index })
  await head('index', 'nobody knows')
  await settle()
  t.same(fetched, [index.manifest.digest])
})

t.test('R291: nothing is fetched after a HEAD once this edge is stopping', async t => {
  const scene = createScene()
  await scene.registry.stop()
  await scan(scene, 3, 'client')
  t.same(scene.fetched, [])
})
