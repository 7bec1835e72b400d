// Row: one HTTP thread against two, for each thing that a server does: what a second one gives
// where clients take the other core, and what it costs.
import { coldPull, warmUp } from '../cold-pull.ts'
import type { Absence, Sample } from '../figures.ts'
import { measureBlob, measureBlobByWrk, measureSmall } from '../hot-measures.ts'
import { residentBytes, watchCpu } from '../processes.ts'
import { MEBIBYTE, openPushFile } from '../pushing.ts'
import { collectSamples, type Row, type RowContext, type Started, startServers } from '../row.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import type { ServerKind } from '../servers/kind.ts'
import { makeCertificate } from '../../test/kit/certificate.ts'

const REPOSITORY = 'bench/threads'
const PUSH_REPOSITORY = 'localhost/bench/threads'
const BLOB_BYTES = 100_000_000
const SMALL_BYTES = 4096
const SECONDS = 2
const SMALL_CLIENTS = 32
const COLD_CLIENTS = 20
const PUSHED = { sizeBytes: MEBIBYTE, blobs: 100, atOnce: 8 } as const
const GIGABYTE = 1e9
const MILLISECONDS = 1000

/** The first is what the other is held against. */
const KINDS: readonly ServerKind[] = [1, 2].map(threads => ({
  name: `${ENTREPOT}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
  start: options => entrepot.start({ ...options, threads }),
}))

export const threads: Row = {
  id: 'threads',
  goal: 'Threads',
  title: 'One HTTP thread, and two',
  rounds: { short: 0, full: 5 },
  method:
    `Requests by wrk, ${SMALL_CLIENTS} connections; blobs of 100 MB, plain by the client of this bench and over TLS by wrk, each of which takes most ` +
    `of a core; pushes of ${PUSHED.blobs} blobs of 1 MiB, ${PUSHED.atOnce} at once; and a blob of 100 MB that is not here yet, for ` +
    `${COLD_CLIENTS} clients at once. Rates and costs are for each of what the line names. "To one" is the rate over that of one thread ` +
    'in the same round. On two cores the client has the second one: what a second thread gives where a machine has more is not seen here.',
  tables: [
    {
      table: 'threads',
      title: 'HTTP threads',
      lineHeading: 'what',
      columns: [
        { measure: 'perSecond', heading: 'a second', digits: 2 },
        { measure: 'toOne', heading: 'to one, ×', digits: 2 },
        { measure: 'cpuMs', heading: 'CPU, ms for each', digits: 3 },
        { measure: 'boxMs', heading: 'whole box, ms for each', digits: 3 },
        { measure: 'residentMiB', heading: 'resident, MiB' },
        { measure: 'failures', heading: 'failures' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const absences: Absence[] = []
    for (const part of [measurePlain, measureTls]) {
      const seen = await part(context)
      for (const sample of seen.samples) add(sample)
      absences.push(...seen.absences)
    }
    return { samples, absences }
  },
}

/** What was done for each of what a line names. */
interface Cost {
  readonly perSecond: number
  readonly cpuMs: number
  readonly boxMs: number
  readonly failures: number
}

interface Case {
  readonly line: string
  readonly measure: (started: Started, seed: string) => Promise<Cost>
}

async function measurePlain(context: RowContext) {
  const { upstream, load, directory } = context
  const layerBytes = [BLOB_BYTES, SMALL_BYTES]
  const image = { repository: REPOSITORY, tag: 'v1', seed: 'threads', layerBytes }
  const { layers, mediaType: accept } = await upstream.addImage(image)
  const manifest = `/v2/${REPOSITORY}/manifests/v1`
  const [large = '', small = ''] = layers.map(digest => `/v2/${REPOSITORY}/blobs/${digest}`)
  const file = openPushFile(directory)
  const cases: readonly Case[] = [
    ...[manifest, small].map((path, at) => ({
      line: at === 0 ? 'manifest by tag' : 'blob of 4 KiB',
      measure: async ({ server }: Started) => {
        const options = { clients: SMALL_CLIENTS, seconds: SECONDS, accept }
        return ofSmall(await measureSmall(server, path, options))
      },
    })),
    ...[4, 64].map(clients => ({
      line: `GB in blobs of 100 MB, ${clients} clients`,
      measure: async ({ server }: Started) =>
        ofBlob(await measureBlob({ load, server }, large, { clients, seconds: SECONDS })),
    })),
    {
      line: 'pushed blob of 1 MiB',
      measure: async ({ server }, seed) => {
        file.write(seed, PUSHED)
        const cpu = watchCpu(server.pid)
        const { seconds, failures } = await file.push(server.url, PUSH_REPOSITORY, PUSHED)
        const each = { seconds: seconds / PUSHED.blobs, ...cpu() }
        return ofOne({ ...each, count: PUSHED.blobs, failures: failures.length })
      },
    },
    {
      line: `cold blob of 100 MB, ${COLD_CLIENTS} clients`,
      measure: async (started, seed) => {
        const cold = { repository: REPOSITORY, seed, sizeBytes: BLOB_BYTES, clients: COLD_CLIENTS }
        const { clients, cpuSeconds, boxSeconds } = await coldPull(context, started, cold)
        const seconds = Math.max(...clients.map(({ lastByteMs }) => lastByteMs)) / MILLISECONDS
        const failures = clients.filter(({ complete }) => !complete).length
        return ofOne({ seconds, cpuSeconds, boxSeconds, count: 1, failures })
      },
    },
  ]
  const { running, absences, stop } = await startServers(context, KINDS)
  try {
    for (const started of running) {
      await warmUp(context, started, REPOSITORY)
      await load.pull(started.server.url, [manifest, small, large])
    }
    return { samples: await measureCases(context, running, cases), absences }
  } finally {
    file.remove()
    await stop()
  }
}

async function measureTls(context: RowContext) {
  const { upstream, load } = context
  const layerBytes = [BLOB_BYTES]
  const image = { repository: REPOSITORY, tag: 'tls', seed: 'threads/tls', layerBytes }
  const { layers } = await upstream.addImage(image)
  const paths = [`/v2/${REPOSITORY}/manifests/tls`, `/v2/${REPOSITORY}/blobs/${layers[0]}`]
  const cases: readonly Case[] = [4, 32].map(clients => ({
    line: `GB over TLS, ${clients} clients`,
    measure: async ({ server }) =>
      ofBlob(await measureBlobByWrk(server, paths[1] ?? '', { clients, seconds: SECONDS })),
  }))
  const certificate = makeCertificate()
  const { running, absences, stop } = await startServers(context, KINDS, { certificate })
  try {
    for (const { server } of running) {
      await load.pull(server.url, paths, { authority: certificate.ca })
    }
    return { samples: await measureCases(context, running, cases), absences }
  } finally {
    await stop()
  }
}

async function measureCases(
  { rounds, tell }: RowContext,
  running: readonly Started[],
  cases: readonly Case[],
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  // The first round is not counted: it is that of a compiler.
  for (let round = 0; round <= rounds; round += 1) {
    for (const { line, measure } of cases) {
      tell(`${line}, round ${round}`)
      let one: number | undefined
      for (const started of running) {
        const { name } = started.kind
        const cost = await measure(started, `${line}/${round}/${name}`)
        one ??= cost.perSecond
        if (round === 0) continue
        const residentMiB = residentBytes(started.server.pid) / MEBIBYTE
        const measures = { ...cost, toOne: cost.perSecond / one, residentMiB }
        add({ table: 'threads', line, server: name, round, measures })
      }
    }
  }
  return samples
}

function ofSmall(seen: Awaited<ReturnType<typeof measureSmall>>): Cost {
  return {
    perSecond: seen.requestsPerSecond,
    cpuMs: seen.cpuMicroseconds / MILLISECONDS,
    boxMs: seen.boxMicroseconds / MILLISECONDS,
    failures: seen.failures,
  }
}

function ofBlob(seen: Awaited<ReturnType<typeof measureBlob>>): Cost {
  return {
    perSecond: (seen.megabytesPerSecond * 1e6) / GIGABYTE,
    cpuMs: seen.cpuSecondsPerGB * MILLISECONDS,
    boxMs: seen.boxSecondsPerGB * MILLISECONDS,
    failures: seen.failures,
  }
}

/** `seconds` are those of each, the others those of all. */
function ofOne(seen: {
  readonly seconds: number
  readonly count: number
  readonly cpuSeconds: number
  readonly boxSeconds: number
  readonly failures: number
}): Cost {
  return {
    perSecond: 1 / seen.seconds,
    cpuMs: (seen.cpuSeconds * MILLISECONDS) / seen.count,
    boxMs: (seen.boxSeconds * MILLISECONDS) / seen.count,
    failures: seen.failures,
  }
}
