// Goal: whatever people push with, an edge takes it and gives back the same bytes. Method: real
// clients push images, indexes and artifacts of a real registry (and ones that they make
// themselves) to the edge as it starts with no configuration; all that arrived is read over the
// plain protocol and hashed; the client pulls it back.
import t from 'tap'
import { type LogLine, startEdge } from '../kit/worlds/edge-process.ts'
import { cosignPushes, helmPushes, orasPushes, regctlPushes } from './push/artifacts.ts'
import { brokenLinkPushes, largePushes } from './push/broken-link.ts'
import { buildkitPushes } from './push/buildkit.ts'
import { containerdPushes } from './push/containerd.ts'
import { cranePushes } from './push/crane.ts'
import { curlPushes } from './push/curl.ts'
import { dockerContainerdPushes, dockerPushes } from './push/docker.ts'
import { freshDirectory, within } from './processes.ts'
import { buildahPushes, podmanPushes } from './push/podman.ts'
import { startRecorder } from './push/recorder.ts'
import { type Scenario, sceneOf } from './push/scene.ts'
import { skopeoPushes, umociPushes } from './push/skopeo.ts'
import { matrixTable, type Verdict } from './table.ts'
import { UPSTREAM_SERVERS } from './upstream-servers.ts'

const SCENARIOS: readonly Scenario[] = [
  dockerPushes,
  dockerContainerdPushes,
  podmanPushes,
  buildahPushes,
  skopeoPushes,
  umociPushes,
  containerdPushes,
  buildkitPushes,
  cranePushes,
  regctlPushes,
  orasPushes,
  helmPushes,
  cosignPushes,
  curlPushes,
  largePushes,
  brokenLinkPushes,
]

const SCENARIO_TIMEOUT_MS = 120_000
/**
 * `E2E_ONLY=podman` runs those with this in their name; `PUSH_TARGET=127.0.0.1:5000` another
 * registry than the edge.
 */
const only = process.env['E2E_ONLY'] ?? ''
const otherTarget = process.env['PUSH_TARGET']
/** `RECORD_HEADERS=test/kit/clients/recorded-headers.json`: adds there what the clients send. */
const recordIn = process.env['RECORD_HEADERS']

/** Log lines are gathered for a tenth of a second. */
const LOGGED_WITHIN_MS = 10_000

t.setTimeout(15 * 60_000)

const source = UPSTREAM_SERVERS['docker-registry 2.8']()
await source.start()
const edge =
  otherTarget === undefined ? await startEdge({ directory: freshDirectory('edge') }) : undefined
const registry = otherTarget ?? new URL(edge?.url ?? '').host
const recorder = recordIn === undefined ? undefined : await startRecorder(registry)
const target = recorder?.authority ?? registry

/**
 * Uploads in a repository that ended at once with 201 and no body: blobs that were mounted. The log
 * may be a moment late.
 */
async function mounted(repository: string, count: number): Promise<void> {
  if (edge === undefined) return
  const isMount = (line: LogLine) =>
    line.msg === 'request completed' &&
    line['endpoint'] === 'uploads' &&
    line['repository'] === repository &&
    line['status'] === 201
  const reached = edge.untilLogged(() => edge.logs.filter(isMount).length >= count)
  await within(LOGGED_WITHIN_MS, `${count} blobs to be mounted in ${repository}`, reached)
}

const verdicts = new Map<string, Map<string, Verdict>>()
for (const scenario of SCENARIOS.filter(({ name }) => name.includes(only))) {
  await t.test(`push: ${scenario.name}`, { timeout: SCENARIO_TIMEOUT_MS }, async t => {
    verdicts.set(scenario.name, new Map([['push and pull back', 'FAILED']]))
    recorder?.about(scenario.name)
    await scenario.run(t, sceneOf(source, target, mounted))
    if (t.passing()) verdicts.set(scenario.name, new Map([['push and pull back', 'ok']]))
  })
}
t.comment(`\n${matrixTable([...verdicts.keys()], ['push and pull back'], verdicts)}\n`)

if (recordIn !== undefined) recorder?.write(recordIn)
await recorder?.stop()
await edge?.stop()
await source.stop()
