// Goal: an operator sees also what holds the disk without a tag. Method: pushes to an edge in
// process, and the commands through its Unix socket.
import t from 'tap'
import type { ListedImages } from '../../../src/registry/operator/list-images.ts'
import { runCli } from '../../kit/cli.ts'
import { NO_UPSTREAM, pushBlob } from '../../kit/worlds/edge-push.ts'
import { startTestEdge, type TestEdge } from '../../kit/edge.ts'
import { type Image, makeImage, makeIndex } from '../../kit/image.ts'

async function put(edge: TestEdge, reference: string, manifest: Image['manifest']): Promise<void> {
  const { bytes: body, mediaType } = manifest
  const headers = { 'content-type': mediaType }
  const { status } = await edge.send('PUT', `/v2/app/manifests/${reference}`, { body, headers })
  if (status !== 201) throw new Error(`${status}`)
}

async function push(edge: TestEdge, reference: string, image: Image): Promise<void> {
  for (const blob of [image.config, ...image.layers]) await pushBlob(edge, 'app', blob.bytes())
  await put(edge, reference, image.manifest)
}

t.test('R485: ls lists what was pushed and has no tag any more, and why tells of it', async t => {
  const edge = await startTestEdge(t, { upstreams: NO_UPSTREAM })
  const run = (...argv: string[]) => runCli([...argv, '--socket', edge.socket])
  const namesBy = async (...argv: string[]) => {
    const { stdout } = await run('ls', ...argv, '--json')
    return (JSON.parse(stdout) as ListedImages).images.map(({ image }) => image)
  }
  const [old, now, arm] = ['old', 'now', 'arm'].map(seed => makeImage({ seed, layers: [9_000] }))
  if (old === undefined || now === undefined || arm === undefined) throw new Error('none')
  await push(edge, 'latest', old)
  await push(edge, 'latest', now)
  // What an index lists is shown with it.
  await push(edge, arm.manifest.digest, arm)
  const index = makeIndex([arm])
  await put(edge, 'both', index.manifest)

  const untagged = `localhost/app@${old.manifest.digest}`
  const tagged = ['localhost/app:both', 'localhost/app:latest']
  t.strictSame(await namesBy(), [...tagged, untagged])
  t.strictSame(await namesBy('localhost/app'), [...tagged, untagged])
  t.strictSame(await namesBy('localhost/app:l*'), [tagged[1]])
  t.strictSame(await namesBy(`app@${old.manifest.digest.slice(0, 20)}*`), [untagged])
  t.match((await run('ls')).stdout, new RegExp(`^${untagged} +\\S+ +yes +\\S+ KiB +- +never$`, 'm'))
  const why = await run('why', untagged)
  t.match(why, { exitCode: 0, stdout: /it was pushed here and has no other home/ })

  await edge.send('DELETE', '/v2/app/manifests/both')
  const left = [index, old].map(({ manifest }) => `localhost/app@${manifest.digest}`)
  t.same(new Set(await namesBy()), new Set(['localhost/app:latest', ...left]))
})
