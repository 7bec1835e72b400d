// `npm run bench [-- [ROW…] [--rounds N] [--json FILE]]`: measures servers side by side and prints their tables. Without rows: all of
// them, and the result is kept as bench/last-run.json, from which docs/performance.md is made. With rows: only printed, or with
// --json put in place of the same rows of that file.
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { describeBox } from './box.ts'
import { LAST_RUN, renderRow, writeDocument } from './document.ts'
import type { RowResult, Run } from './figures.ts'
import { startLoad } from './load.ts'
import { watchOthers } from './processes.ts'
import type { Row } from './row.ts'
import { ROWS } from './rows.ts'
import { startUpstream } from './upstream.ts'

/** The fewest from which a median says more than a mean. */
const ROUNDS = 3
const BUILD = new URL('../scripts/build.mjs', import.meta.url)

async function runRow(row: Row, directory: string, rounds: number): Promise<RowResult> {
  const startedAt = new Date()
  const own = join(directory, row.id)
  mkdirSync(own)
  const upstream = await startUpstream()
  const load = await startLoad()
  const foreignCores = watchOthers(process.pid)
  const startMs = performance.now()
  try {
    const tell = (text: string) => console.error(`${row.id}: ${text}`)
    const seen = await row.run({ rounds, upstream, load, directory: own, tell })
    return {
      row: row.id,
      startedAt: startedAt.toISOString(),
      seconds: Math.round((performance.now() - startMs) / 1000),
      rounds,
      foreignCores: foreignCores(),
      box: describeBox(),
      ...seen,
    }
  } finally {
    await Promise.all([upstream.stop(), load.stop()])
    rmSync(own, { recursive: true, force: true })
  }
}

function chooseRows(ids: readonly string[]): readonly Row[] {
  const unknown = ids.filter(id => !ROWS.some(row => row.id === id))
  if (unknown.length > 0) {
    const known = ROWS.map(row => row.id).join(', ')
    throw new Error(`no such row: ${unknown.join(', ')}; there are ${known}`)
  }
  return ROWS.filter(({ id }) => ids.length === 0 || ids.includes(id))
}

/** Puts `results` in the place of the same rows of an earlier run. */
function merge(file: string, results: readonly RowResult[]): Run {
  const before = readRun(file).rows.filter(({ row }) => !results.some(other => other.row === row))
  const order = ROWS.map(({ id }) => id)
  const rows = [...before, ...results].toSorted(
    (a, b) => order.indexOf(a.row) - order.indexOf(b.row),
  )
  return { rows }
}

function readRun(file: string): Run {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Run
  } catch {
    return { rows: [] }
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'string' }, rounds: { type: 'string', default: String(ROUNDS) } },
  })
  const rows = chooseRows(positionals)
  const build = spawnSync(process.execPath, [fileURLToPath(BUILD)], { stdio: 'inherit' })
  if (build.status !== 0) throw new Error('Entrepot does not compile')
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-bench-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  const lastRun = fileURLToPath(LAST_RUN)
  const file = values.json ?? (positionals.length === 0 ? lastRun : undefined)
  for (const row of rows) {
    const result = await runRow(row, directory, Number(values.rounds))
    console.log(`${renderRow(row, result)}\n`)
    if (file !== undefined)
      writeFileSync(file, `${JSON.stringify(merge(file, [result]), null, 1)}\n`)
  }
  if (values.json === undefined && positionals.length === 0) await writeDocument()
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
