// Goal: an index that lists one thing many times, in each of several levels, costs what is in it
// and not what it spells. Method: such an index at a stub registry, and the manifests that the
// commands say they fetched.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runCli } from '../../kit/cli.ts'
import { startTestEdge } from '../../kit/edge.ts'
import { makeImage, makeIndex } from '../../kit/image.ts'
import { startStub } from '../../kit/stubs/stub-registry.ts'

const TIMES = 6
const LEVELS = 3

t.test('R934: what an index lists many times is exported and pulled once', async t => {
  const platform = { os: 'linux', architecture: 'amd64' }
  let top = makeImage({ seed: 'leaf', layers: [100], platform })
  for (let level = 0; level < LEVELS; level += 1)
    top = makeIndex(Array.from({ length: TIMES }, () => top))
  const stub = await startStub(t)
  stub.addImage('library/deep', 'v1', top)
  const edge = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } } })
  const directory = await mkdtemp(join(tmpdir(), 'listed-often-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const name = 'docker.io/library/deep:v1'
  for (const argv of [
    ['export', name, '-o', join(directory, 'deep.tar')],
    ['pull', name],
  ]) {
    const rest = ['--all-platforms', '--json', '--socket', edge.socket]
    const result = await runCli([...argv, ...rest])
    t.match(result, { exitCode: 0 })
    const events = result.stdout.split('\n').filter(line => line.includes('"kind":"manifest"'))
    t.equal(events.length, LEVELS + 1, String(argv[0]))
  }
})
