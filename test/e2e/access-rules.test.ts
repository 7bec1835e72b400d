// Goal: real clients are told that there is nothing, and the upstream is not asked, where the rules
// hide a repository; what is allowed they pull; and a SIGHUP turns that round for all of them.
// Method: the process that `npm start` starts, in front of a real registry behind a gate that shows
// what it was asked; dockerd with both of its stores, podman and crane name the edge as the
// registry.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { openGate } from './gate.ts'
import { layeredImage, push } from './images.ts'
import { freshDirectory, runCommand } from './processes.ts'
import { DOCKER, DOCKER_ON_CONTAINERD, startEngine } from './push/docker.ts'
import { containersIn } from './push/podman.ts'
import { goTool } from './tools.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

t.setTimeout(300_000)

/** As clients say it of what a registry does not have. */
const ABSENT = /not found|manifest unknown|MANIFEST_UNKNOWN/i
const rulesFor = (team: string) => [
  { who: 'net:127.0.0.1', match: `docker.io/${team}/**`, allow: ['pull'] },
]

const source = UPSTREAM_SERVERS['docker-registry 2.8']()
await source.start()
t.teardown(() => source.stop())
const image = layeredImage({ seed: 'rules', layerBytes: [20_000, 30_000], mediaTypes: 'docker' })
for (const team of ['red', 'blue'])
  await push(source.url(), image, { name: `${team}/app`, tag: 'v1' })
const gate = await openGate(() => source.url())
t.teardown(() => gate.close())

const edge = await startEdge({
  directory: freshDirectory('edge'),
  upstreams: { 'docker.io': { url: gate.url, http: true } },
  config: { http: { addr: '127.0.0.1:0', threads: 2 }, access: rulesFor('red') },
})
t.teardown(() => edge.stop())
const target = new URL(edge.url).host

/** Each pulls into a store that has nothing of it before. */
async function clients() {
  const engines = [await startEngine(DOCKER), await startEngine(DOCKER_ON_CONTAINERD)]
  for (const engine of engines) t.teardown(() => engine.stop())
  const { podman, policy } = containersIn(freshDirectory('pm'))
  return {
    [DOCKER.name]: (name: string) => engines[0]?.pull(name),
    [DOCKER_ON_CONTAINERD.name]: (name: string) => engines[1]?.pull(name),
    podman: (name: string) => podman('pull', '--tls-verify=false', ...policy, name),
    crane: (name: string) =>
      runCommand(goTool('crane'), ['pull', '--insecure', name, join(freshDirectory('cr'), 'tar')]),
  }
}

const pulls = await clients()

async function expect(shown: string, hidden: string): Promise<void> {
  for (const [name, pull] of Object.entries(pulls)) {
    gate.forget()
    const refused = await Promise.resolve(pull(`${target}/${hidden}/app:v1`)).then(() => '', String)
    t.match(refused, ABSENT, `${name}: ${hidden} is not there`)
    // The pull before may have left the edge something to fetch, of what it was allowed.
    const asked = gate.passed().filter(({ path }) => path.startsWith(`/v2/${hidden}/`))
    t.same(asked, [], `${name}: and nobody was asked for it`)
    await pull(`${target}/${shown}/app:v1`)
    t.pass(`${name} pulls ${shown}`)
  }
}

await t.test('R407: what is hidden is not found, and what is allowed is pulled', async () => {
  await expect('red', 'blue')
})

await t.test('R408: a reload turns it round for what is in memory, too', async () => {
  const config = JSON.parse(readFileSync(edge.configFile, 'utf8')) as object
  writeFileSync(edge.configFile, JSON.stringify({ ...config, access: rulesFor('blue') }))
  const from = edge.logs.length
  process.kill(edge.pid, 'SIGHUP')
  await edge.untilLogged(line => line.msg === 'configuration reloaded', from)
  await expect('blue', 'red')
})
