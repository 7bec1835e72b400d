// Goal: what the operator keeps out is not there for anybody, whatever of it is here (R254).
// Method: the whole edge in process, which has an image whole and answers it from memory, reloaded
// with patterns that keep it out.
import t, { type Test } from 'tap'
import { BLOBS, MANIFESTS, type Pair, startPair } from '../../kit/worlds/edge-over-stub.ts'
import { makeArtifact, makeImage } from '../../kit/image.ts'

const image = makeImage({ seed: 'excluded', layers: [2_000] })
const [layer] = image.layers
const signature = makeArtifact({ seed: 'signature', subject: image.descriptor })
const paths = [
  `${MANIFESTS}/v1`,
  `${MANIFESTS}/${image.manifest.digest}`,
  `${BLOBS}/${layer?.digest}`,
  `${BLOBS}/${image.config.digest}`,
  '/v2/library/app/tags/list',
  `/v2/library/app/referrers/${image.manifest.digest}`,
]

async function startWarm(t: Test): Promise<Pair> {
  const pair = await startPair(t, { images: { v1: image, signature } })
  const { edge, stub } = pair
  stub.addImage('library/beside', 'v1', image)
  for (let times = 0; times < 3; times += 1)
    for (const path of paths) t.equal((await edge.get(path)).status, 200, path)
  await edge.get('/v2/library/beside/manifests/v1')
  return pair
}

/** Every answer but those that clients get for what is not there. */
async function seen({ edge }: Pair): Promise<string[]> {
  const found: string[] = []
  for (const path of paths)
    for (const method of ['GET', 'HEAD']) {
      const { status } = await edge.send(method, path)
      if (status !== 404) found.push(`${method} ${path} ${status}`)
    }
  const { status } = await edge.send('POST', '/v2/library/app/blobs/uploads/')
  if (status !== 404) found.push(`POST ${status}`)
  const catalog = await edge.get('/v2/_catalog?n=1')
  const { repositories } = JSON.parse(catalog.body.toString()) as { repositories: string[] }
  return [...found, ...repositories]
}

const ways = {
  'its name in exclude': { exclude: ['library/app'] },
  'a pattern in exclude': { exclude: ['**/app'] },
  'all but some in exclude': { exclude: ['library/!(beside)'] },
  'not being in include': { include: ['library/!(app)'] },
}

for (const [way, entry] of Object.entries(ways)) {
  t.test(`R254: ${way} takes an image away that is here whole`, async t => {
    const pair = await startWarm(t)
    const upstream = { url: pair.stub.url }
    pair.edge.reload({ 'docker.io': { ...upstream, ...entry } })
    const asked = pair.stub.requests.length
    t.strictSame(await seen(pair), ['docker.io/library/beside'])
    t.equal(pair.stub.requests.length, asked, 'nobody was asked')
    t.equal((await pair.edge.get('/v2/library/beside/manifests/v1')).status, 200)
    pair.edge.reload({ 'docker.io': upstream })
    for (const path of paths) t.equal((await pair.edge.get(path)).status, 200, path)
  })
}
