// `npm run bench [-- ROW…]` and `npm run bench:full [-- ROW…]`, with `--rounds N` and `--json
// FILE`: measures servers side by side and prints their tables. With rows by name: `--beside DIR`,
// and `--only SERVER` as often as wanted. The full form without rows is kept as
// bench/last-run.json, from which docs/performance.md is made; the short one in
// bench/short-run.json, which is nobody's truth. Rows by name are only printed, or with --json put
// in place of the same rows of that file. Ends with 1 when a row could not be measured.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ABLATIONS } from './ablations.ts'
import { describeBox } from './box.ts'
import { LAST_RUN, renderRow, writeDocument } from './document.ts'
import type { RowResult, Run } from './figures.ts'
import { formatRun, parseRun } from './kept-run.ts'
import { endLeftovers, openRunDirectory } from './ledger.ts'
import { startLoad } from './load.ts'
import { watchOthers } from './processes.ts'
import type { Row, RowContext } from './row.ts'
import { ROWS } from './rows.ts'
import { HOT_LOGINS } from './servers/with-accounts.ts'
import { COLD_SERVERS, HOT_SERVERS, PUSHABLE, REGISTRIES } from './servers.ts'
import { startUpstream } from './upstream.ts'

const BUILD = new URL('../scripts/build.mjs', import.meta.url)
const SHORT_RUN = new URL('short-run.json', import.meta.url)

type Options = Pick<RowContext, 'directory' | 'full' | 'rounds' | 'beside' | 'only'>

/** Never rejects: a row that fails says why in its result. */
async function runRow(row: Row, { directory, ...options }: Options): Promise<RowResult> {
  const startedAt = new Date()
  const own = join(directory, row.id)
  mkdirSync(own)
  const others = watchOthers(process.pid)
  const startMs = performance.now()
  const seen = await measure(row, { directory: own, ...options })
  rmSync(own, { recursive: true, force: true })
  return {
    row: row.id,
    startedAt: startedAt.toISOString(),
    seconds: Math.round((performance.now() - startMs) / 1000),
    rounds: options.rounds,
    full: options.full,
    ...others(),
    box: describeBox(),
    ...seen,
  }
}

async function measure(
  row: Row,
  options: Options,
): Promise<Pick<RowResult, 'samples' | 'absences' | 'failed'>> {
  const upstream = await startUpstream()
  const load = await startLoad()
  const tell = (text: string) => console.error(`${row.id}: ${text}`)
  try {
    return await row.run({ ...options, upstream, load, tell })
  } catch (error) {
    console.error(error)
    const failed = error instanceof Error ? error.message : String(error)
    return { samples: [], absences: [], failed }
  } finally {
    await Promise.all([upstream.stop(), load.stop()])
  }
}

/** @throws Error for a name that no server has: nobody would miss its rows */
function checkServers(names: readonly string[]): void {
  const known = new Set(
    [REGISTRIES, PUSHABLE, HOT_SERVERS, COLD_SERVERS, HOT_LOGINS, ABLATIONS]
      .flat()
      .map(({ name }) => name),
  )
  const unknown = names.filter(name => !known.has(name))
  if (unknown.length > 0)
    throw new Error(`no such server: ${unknown.join('; ')}; there are ${[...known].join('; ')}`)
}

function chooseRows(ids: readonly string[], full: boolean): readonly Row[] {
  const unknown = ids.filter(id => !ROWS.some(row => row.id === id))
  if (unknown.length > 0) {
    const known = ROWS.map(row => row.id).join(', ')
    throw new Error(`no such row: ${unknown.join(', ')}; there are ${known}`)
  }
  if (ids.length > 0) return ROWS.filter(({ id }) => ids.includes(id))
  return ROWS.filter(({ rounds }) => full || rounds.short > 0)
}

/** Puts `results` in the place of the same rows of an earlier run. */
function merge(before: Run, results: readonly RowResult[]): Run {
  const kept = before.rows.filter(({ row }) => !results.some(other => other.row === row))
  const order = ROWS.map(({ id }) => id)
  const rows = [...kept, ...results]
    .filter(({ row }) => order.includes(row))
    .toSorted((a, b) => order.indexOf(a.row) - order.indexOf(b.row))
  return { rows }
}

/** Where the result goes, and what it is put into. */
function destination(json: string | undefined, { full, all }: { full: boolean; all: boolean }) {
  if (json !== undefined) return { file: json, before: readRun(json) }
  if (!all) return undefined
  return { file: fileURLToPath(full ? LAST_RUN : SHORT_RUN), before: { rows: [] } }
}

function readRun(file: string): Run {
  try {
    return parseRun(readFileSync(file, 'utf8'))
  } catch {
    return { rows: [] }
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      full: { type: 'boolean', default: false },
      json: { type: 'string' },
      rounds: { type: 'string' },
      beside: { type: 'string' },
      // Names have commas.
      only: { type: 'string', multiple: true },
    },
  })
  const { full, beside, only } = values
  if (positionals.length === 0 && (beside ?? only) !== undefined)
    throw new Error('--beside and --only need rows by name: what all rows yield is kept')
  checkServers(only ?? [])
  const rows = chooseRows(positionals, full)
  for (const line of endLeftovers()) console.error(line)
  const build = spawnSync(process.execPath, [fileURLToPath(BUILD)], { stdio: 'inherit' })
  if (build.status !== 0) throw new Error('Entrepot does not compile')
  const directory = openRunDirectory()
  const all = positionals.length === 0
  const kept = destination(values.json, { full, all })
  const results: RowResult[] = []
  for (const row of rows) {
    const usual = Math.max(1, full ? row.rounds.full : row.rounds.short)
    const rounds = Number(values.rounds ?? usual)
    const result = await runRow(row, { directory, full, rounds, beside, only })
    results.push(result)
    console.log(`${renderRow(row, result)}\n`)
    if (kept === undefined) continue
    writeFileSync(kept.file, formatRun(merge(kept.before, results)))
  }
  const failed = results.filter(result => result.failed !== undefined).map(({ row }) => row)
  if (failed.length > 0) throw new Error(`not measured: ${failed.join(', ')}`)
  if (full && all && values.json === undefined) await writeDocument()
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
