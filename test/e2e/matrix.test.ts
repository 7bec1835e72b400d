// Goal: every client that people use gets what it should from an edge, whatever dies in between.
// Method: real clients, real upstream registries, the edge as `npm start` starts it, and a gate
// between edge and upstream that counts every byte. One test for each cell of client × situation;
// the table at the end has no empty cell.
import t from 'tap'
import type { ClientDriver, Shape } from './client-driver.ts'
import { CELLS, type CellName, type Row } from './cells.ts'
import { buildkit } from './clients/buildkit.ts'
import { containerd } from './clients/containerd.ts'
import { crane } from './clients/crane.ts'
import { dockerdContainerd } from './clients/dockerd-containerd.ts'
import { dockerdGraph } from './clients/dockerd-graph.ts'
import { podman } from './clients/podman.ts'
import { skopeo } from './clients/skopeo.ts'
import { startTestEdge } from './edge.ts'
import { type Gate, openGate } from './gate.ts'
import { emptyCells, matrixTable, type Verdict } from './table.ts'
import { UPSTREAM_SERVERS, type UpstreamName, type UpstreamServer } from './upstream-servers.ts'

const CLIENTS: readonly (() => ClientDriver)[] = [
  dockerdGraph,
  dockerdContainerd,
  containerd,
  podman,
  skopeo,
  buildkit,
  crane,
]

/** Each client meets both upstreams and both ways to spell a name at the edge. */
const SHAPES: Readonly<Record<UpstreamName, Shape>> = {
  'docker-registry 2.8': 'plain',
  'distribution 3.1': 'path',
}

/** The slowest cell waits for a client's own retries. */
const CELL_TIMEOUT_MS = 120_000
/** Stops a matrix that hangs. */
const MATRIX_TIMEOUT_MS = 15 * 60_000

const columns = Object.keys(CELLS) as CellName[]
const rows: string[] = []
const verdicts = new Map<string, Map<string, Verdict>>()
/** `E2E_ONLY=podman` runs the rows with this in their name, for whoever works on one client. */
const only = process.env['E2E_ONLY'] ?? ''

t.setTimeout(MATRIX_TIMEOUT_MS)

for (const [name, shape] of Object.entries(SHAPES) as [UpstreamName, Shape][]) {
  const upstream = UPSTREAM_SERVERS[name]()
  await upstream.start()
  const gate = await openGate(() => upstream.url())
  for (const client of CLIENTS) await runRow(client, { upstream, gate, shape })
  await gate.close()
  await upstream.stop()
}

t.comment(`\n${matrixTable(rows, columns, verdicts)}\n`)
t.same(emptyCells(rows, columns, verdicts), [], 'every cell of the matrix was run')

interface Behind {
  readonly upstream: UpstreamServer
  readonly gate: Gate
  readonly shape: Shape
}

async function runRow(client: () => ClientDriver, behind: Behind): Promise<void> {
  const { upstream, gate } = behind
  const driver = client()
  const shape = driver.plainOnly ? 'plain' : behind.shape
  const row = `${driver.name}, ${shape} names, ${upstream.name}`
  if (!row.includes(only)) return
  rows.push(row)
  const verdictsOfRow = new Map<string, Verdict>()
  verdicts.set(row, verdictsOfRow)
  const ready = await prepare(driver, { gate, shape })
  for (const column of columns) {
    await t.test(`${row}: ${column}`, { timeout: CELL_TIMEOUT_MS }, async t => {
      verdictsOfRow.set(column, 'FAILED')
      if (ready instanceof Error) throw ready
      const slug = `${driver.name.replace(' ', '-')}-${rows.length}`
      await CELLS[column](t, { slug, driver, gate, upstream, edge: ready.edge })
      if (t.passing()) verdictsOfRow.set(column, 'ok')
    })
  }
  if (!(ready instanceof Error)) await ready.edge.stop()
  await driver.stop()
}

/** A client that does not start fails its cells, not the whole matrix. */
async function prepare(
  driver: ClientDriver,
  { gate, shape }: Omit<Behind, 'upstream'>,
): Promise<Pick<Row, 'edge'> | Error> {
  try {
    const edge = await startTestEdge({ 'docker.io': gate.url })
    await driver.start({ authority: edge.authority, shape })
    return { edge }
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
