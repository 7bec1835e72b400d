// Row: readers that stopped reading, beside readers that go on: what the stalled ones cost in
// memory, and what they take from the others.
import { setTimeout as wait } from 'node:timers/promises'
import { addHotImage, bringHere } from '../hot-image.ts'
import { residentMiB } from '../processes.ts'
import { collectSamples, type Row, type RowContext, type Started, startServers } from '../row.ts'
import { HOT_SERVERS } from '../servers.ts'
import { socketMiB } from '../sockets.ts'

const IMAGE = { repository: 'bench/stalled', seed: 'stalled', layerBytes: [100_000_000] }
const STALLED = [100, 300, 1000]
const MANY = 1000
const ACTIVE = 64
const SECONDS = { short: 2, full: 10 }
const MEGABYTE = 1e6
/** For the server to notice that held readers have gone. */
const SETTLE_MS = 500

export const stalledLine = (stalled: number) => `${stalled} stalled, ${ACTIVE} active`
export const THOUSAND = stalledLine(MANY)

export const stalled: Row = {
  id: 'stalled',
  goal: 'P9',
  title: `Stalled readers beside ${ACTIVE} active ones`,
  rounds: { short: 1, full: 3 },
  method:
    'Stalled readers, from a hundred addresses of loopback, ask for a blob of 100 MB that is here and read 4 KiB of it. Then 64 others ' +
    'download it again and again for some seconds. Memory is looked at while they do. Kernel memory is that of the server’s sockets ' +
    '(ss --memory). "To alone" is what the 64 got, over what they got before anybody stalled, in the same round.',
  tables: [
    {
      table: 'stalled',
      title: 'Stalled readers',
      lineHeading: 'readers',
      columns: [
        { measure: 'residentMiB', heading: 'resident, MiB', digits: 0 },
        { measure: 'socketMiB', heading: 'kernel, sockets, MiB', digits: 0 },
        { measure: 'megabytesPerSecond', heading: 'active, MB/s' },
        { measure: 'toAlone', heading: 'to alone, ×', digits: 2 },
        { measure: 'notBegun', heading: 'stalled that got no byte' },
        { measure: 'failures', heading: 'failed answers' },
      ],
      growth: [
        { measure: 'residentMiB', what: 'resident memory with stalled readers' },
        { measure: 'socketMiB', what: 'socket memory with stalled readers' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const image = await addHotImage(context, IMAGE)
    const [blob = ''] = image.blobs
    await using servers = await startServers(context, HOT_SERVERS, { files: image.files() })
    for (const started of servers.running) await bringHere(context, started, image)
    for (let round = 1; round <= context.rounds; round += 1) {
      // Each in turn first: whoever comes first in a round ends with some 10 MiB more.
      const { running } = servers
      for (const started of round % 2 === 1 ? running : running.toReversed()) {
        context.tell(`${started.kind.name}, round ${round}`)
        const named = { table: 'stalled', server: started.kind.name, round }
        for (const { count, ...measures } of await measureServer(context, started, blob)) {
          const size = count === 0 ? {} : { size: count }
          add({ ...named, line: stalledLine(count), ...size, measures })
        }
      }
    }
    return { samples, absences: servers.absences }
  },
}

async function measureServer(context: RowContext, started: Started, path: string) {
  const alone = await measureWith(context, started, { path, count: 0 })
  const measured = [{ ...alone, toAlone: Number.NaN }]
  for (const count of STALLED) {
    const seen = await measureWith(context, started, { path, count })
    measured.push({ ...seen, toAlone: seen.megabytesPerSecond / alone.megabytesPerSecond })
  }
  return measured
}

async function measureWith(
  { load, full }: RowContext,
  { server }: Started,
  { path, count }: { readonly path: string; readonly count: number },
) {
  const seconds = full ? SECONDS.full : SECONDS.short
  const { begun } = await load.hold(server.url, path, count)
  const loop = load.loop(server.url, path, { clients: ACTIVE, seconds })
  await wait((seconds * 1000) / 2)
  const memory = {
    residentMiB: residentMiB(server.pid),
    socketMiB: socketMiB(Number(new URL(server.url).port)),
  }
  const { bytes, seconds: elapsed, failures } = await loop
  await load.release()
  await wait(SETTLE_MS)
  const megabytesPerSecond = bytes / MEGABYTE / elapsed
  return { count, ...memory, megabytesPerSecond, notBegun: count - begun, failures }
}
