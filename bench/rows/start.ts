// Row: from the start of the process to its first answer, and the memory that it takes when nothing
// is asked of it.
import { setTimeout as wait } from 'node:timers/promises'
import { residentBytes } from '../processes.ts'
import { collectSamples, type Row, startServers } from '../row.ts'
import { HOT_SERVERS } from '../servers.ts'

/** After which a server has done what it does at its start. */
const IDLE_MS = 1_500
/** Of Entrepot and nginx; the others have as many as they like. */
const THREADS = 2
const MEBIBYTE = 1024 * 1024

export const start: Row = {
  id: 'start',
  goal: 'P13',
  rounds: { short: 3, full: 9 },
  title: 'Start, and memory when idle',
  method:
    'An empty directory and files that are in memory already: the first start of each is not counted. Ready is the first 200 to ' +
    '`GET /v2/`. Entrepot has two HTTP threads where this version has `http.threads`, else one. Memory is resident memory of all processes of the server; pages that they share count once for each.',
  tables: [
    {
      table: 'start',
      title: 'Start and idle memory',
      lineHeading: 'state',
      columns: [
        { measure: 'readyMs', heading: 'ready after, ms' },
        { measure: 'residentMiB', heading: 'resident when idle, MiB', digits: 1 },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    await (await startServers(context, HOT_SERVERS, { threads: THREADS })).stop()
    let absences: Awaited<ReturnType<typeof startServers>>['absences'] = []
    for (let round = 1; round <= context.rounds; round += 1) {
      context.tell(`round ${round}`)
      const started = await startServers(context, HOT_SERVERS, { threads: THREADS })
      ;({ absences } = started)
      await wait(IDLE_MS)
      for (const { kind, server } of started.running) {
        const residentMiB = residentBytes(server.pid) / MEBIBYTE
        const measures = { readyMs: server.readyMs, residentMiB }
        add({ table: 'start', line: 'empty', server: kind.name, round, measures })
      }
      await started.stop()
    }
    return { samples, absences }
  },
}
