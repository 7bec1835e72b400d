// docs/performance.md from the last run: how it was measured, the tables, what must be reached and what is missed. No figure stands
// here or in the document that is not made from bench/last-run.json.
import { readFile, writeFile } from 'node:fs/promises'
import type { Box, RowResult, Run } from './figures.ts'
import { GOALS } from './goals.ts'
import type { Row } from './row.ts'
import { ROWS } from './rows.ts'
import { formatNumber } from './statistics.ts'
import { alignTable, renderTable } from './tables.ts'

export const LAST_RUN = new URL('last-run.json', import.meta.url)
const DOCUMENT = new URL('../docs/performance.md', import.meta.url)

const OPENING = `# Performance

<!-- Generated from bench/last-run.json by \`npm run bench\`. Change bench/. -->

What is measured here is measured side by side: in one run, on one machine, with one client, server after server in each
round. What counts is the ratio of two servers in the same round, and counts; seconds on this machine mean little on another.
\`npm run bench\` measures all of it in under ten minutes and writes this document; \`npm run bench -- ROW…\` prints single rows.

* Servers, upstream and clients run on the same machine, each in processes of its own, over loopback. The upstream is the stub
  registry of the tests; it holds its blobs in memory.
* Every server runs with the configuration of its documentation for a pull-through cache, and with its request log on.
* Servers take turns within a round. A cell is the median of the rounds, and in parentheses the least and the most.
* CPU is user and system time of the server with all its processes, so a busy neighbour changes it little; times and rates it
  does change. How many cores others used during a row is told with it.
`

/** The tables of one row and what Entrepot had to reach in it. */
export function renderRow(row: Row, result: RowResult): string {
  const tables = row.tables.flatMap(table => {
    const text = renderTable(table, result)
    return text === '' ? [] : [text, ...(table.note === undefined ? [] : [table.note])]
  })
  return [`## ${row.title}`, row.method, circumstances(result), ...tables, ...goals(result)].join(
    '\n\n',
  )
}

export function renderPerformanceDoc({ rows }: Run): string {
  const boxes = new Map(rows.map(({ box }) => [JSON.stringify(box), box]))
  const sections = ROWS.map(row => {
    const result = rows.find(each => each.row === row.id)
    return result === undefined ? `## ${row.title}\n\nNot measured yet.` : renderRow(row, result)
  })
  const machine = `## Machine and versions\n\n${[...boxes.values()].map(renderBox).join('\n\n')}`
  return `${[OPENING.trimEnd(), machine, ...sections].join('\n\n')}\n`
}

/** For the list of generated documents. */
export async function renderLastRun(): Promise<string> {
  return renderPerformanceDoc(JSON.parse(await readFile(LAST_RUN, 'utf8')) as Run)
}

export async function writeDocument(): Promise<void> {
  await writeFile(DOCUMENT, await renderLastRun())
}

function circumstances({ startedAt, seconds, rounds, foreignCores, box }: RowResult): string {
  const others = formatNumber(foreignCores, 2)
  return (
    `Measured ${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${rounds} rounds, ${seconds} s; meanwhile others used ` +
    `${others} of ${box.cores} cores.`
  )
}

function renderBox(box: Box): string {
  const versions = Object.entries(box.versions).map(([name, version]) => `${name} ${version}`)
  return (
    `${box.cores} cores (${box.processor}), ${box.memoryGiB} GiB, ${box.system}, kernel ${box.kernel}, Node ${box.node}.\n\n` +
    `${versions.join(', ')}.`
  )
}

function goals(result: RowResult): readonly string[] {
  const judged = GOALS.filter(({ row }) => row === result.row).map(goal => ({
    ...goal,
    verdict: goal.judge(result),
  }))
  if (judged.length === 0) return []
  const table = alignTable([
    ['must reach', '', 'seen'],
    ...judged.map(({ must, verdict }) => [
      must,
      verdict === undefined ? '–' : verdict.met ? 'yes' : '**no**',
      verdict?.seen ?? 'not measured',
    ]),
  ])
  const missed = judged.filter(({ verdict }) => verdict?.met === false)
  const reasonOf = ({ why = 'not known yet.' }: { why?: string }) => why
  // Several are often missed for one reason.
  const reasons = [...new Set(missed.map(reasonOf))].map(reason => {
    const these = missed.filter(goal => reasonOf(goal) === reason)
    return `* ${these.map(({ must }) => must.replace(/:$/, '')).join('; ')}.\n  Why: ${reason}`
  })
  return reasons.length === 0 ? [table] : [table, `Missed:\n\n${reasons.join('\n')}`]
}

if (import.meta.main) await writeDocument()
