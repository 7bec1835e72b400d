// Row: from the start of the process to its first answer, and the memory that it takes when nothing
// is asked of it.
import { setTimeout as wait } from 'node:timers/promises'
import type { Absence } from '../figures.ts'
import { residentMiB } from '../processes.ts'
import { collectSamples, type Row, startServers } from '../row.ts'
import { HOT_SERVERS } from '../servers.ts'

/** After which a server has done what it does at its start. */
const IDLE_MS = 1_500
/** Of Entrepot and nginx; the others have as many as they like. */
const THREADS = 2

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
    let absences: readonly Absence[] = []
    // The first start of each is not counted.
    for (let round = 0; round <= context.rounds; round += 1) {
      context.tell(`round ${round}`)
      await using servers = await startServers(context, HOT_SERVERS, { threads: THREADS })
      ;({ absences } = servers)
      if (round === 0) continue
      await wait(IDLE_MS)
      for (const { kind, server } of servers.running) {
        const measures = { readyMs: server.readyMs, residentMiB: residentMiB(server.pid) }
        add({ table: 'start', line: 'empty', server: kind.name, round, measures })
      }
    }
    return { samples, absences }
  },
}
