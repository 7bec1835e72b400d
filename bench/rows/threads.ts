// Row: one HTTP thread against two, for each thing that a server does: what a second one gives
// where clients take the other core, and what it costs.
import { coldPull, warmUp } from '../cold-pull.ts'
import type { Sample } from '../figures.ts'
import { addHotImage, bringHere } from '../hot-image.ts'
import { measureBlob, measureBlobByWrk, measureSmall } from '../hot-measures.ts'
import { residentMiB, watchCpu } from '../processes.ts'
import { MEBIBYTE, openPushFile } from '../pushing.ts'
import {
  collectSamples,
  inRounds,
  joinSeen,
  type Row,
  type RowContext,
  type Seen,
  type Started,
  startServers,
} from '../row.ts'
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
    return joinSeen([await measurePlain(context), await measureTls(context)])
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

async function measurePlain(context: RowContext): Promise<Seen> {
  const { load, directory } = context
  const layerBytes = [BLOB_BYTES, SMALL_BYTES]
  const image = await addHotImage(context, { repository: REPOSITORY, seed: 'threads', layerBytes })
  const [large = '', small = ''] = image.blobs
  using file = openPushFile(directory)
  const requests = (line: string, path: string): Case => ({
    line,
    measure: async ({ server }) => {
      const options = { clients: SMALL_CLIENTS, seconds: SECONDS, accept: image.accept }
      return ofSmall(await measureSmall(server, path, options))
    },
  })
  const cases: readonly Case[] = [
    requests('manifest by tag', image.manifestByTag),
    requests('blob of 4 KiB', small),
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
        return ofOne({ ...(await coldPull(context, started, cold)), count: 1 })
      },
    },
  ]
  await using servers = await startServers(context, KINDS)
  for (const started of servers.running) {
    await warmUp(context, started, REPOSITORY)
    await bringHere(context, started, image)
  }
  return {
    samples: await measureCases(context, servers.running, cases),
    absences: servers.absences,
  }
}

async function measureTls(context: RowContext): Promise<Seen> {
  const added = { repository: REPOSITORY, seed: 'threads/tls', layerBytes: [BLOB_BYTES] }
  const image = await addHotImage(context, added)
  const [blob = ''] = image.blobs
  const cases: readonly Case[] = [4, 32].map(clients => ({
    line: `GB over TLS, ${clients} clients`,
    measure: async ({ server }) =>
      ofBlob(await measureBlobByWrk(server, blob, { clients, seconds: SECONDS })),
  }))
  const certificate = makeCertificate()
  await using servers = await startServers(context, KINDS, { certificate })
  for (const started of servers.running)
    await bringHere(context, started, image, { authority: certificate.ca })
  return {
    samples: await measureCases(context, servers.running, cases),
    absences: servers.absences,
  }
}

async function measureCases(
  context: RowContext,
  running: readonly Started[],
  cases: readonly Case[],
): Promise<readonly Sample[]> {
  const { samples, add } = collectSamples()
  // Once before anything is counted: that round is one of a compiler.
  for (const { line, measure } of inRounds({ ...context, rounds: 1 }, cases))
    for (const started of running) await measure(started, `${line}/warm/${started.kind.name}`)
  for (const { measure, ...place } of inRounds(context, cases)) {
    let one: number | undefined
    for (const started of running) {
      const { name } = started.kind
      const cost = await measure(started, `${place.line}/${place.round}/${name}`)
      one ??= cost.perSecond
      const compared = {
        toOne: cost.perSecond / one,
        residentMiB: residentMiB(started.server.pid),
      }
      add({ table: 'threads', ...place, server: name, measures: { ...cost, ...compared } })
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
