// docs/performance.md from the last run: what must be reached and whether it is, how it was
// measured, the tables, and where the time goes. No figure stands here or in the document that is
// not made from bench/last-run.json; what people found out in profiles is
// bench/where-the-time-goes.md, kept by hand.
import { readFile, writeFile } from 'node:fs/promises'
import type { Box, RowResult, Run } from './figures.ts'
import { GOALS } from './goals.ts'
import { parseRun } from './kept-run.ts'
import type { Row } from './row.ts'
import { ROWS } from './rows.ts'
import { formatNumber } from './statistics.ts'
import { alignTable, renderGrowth, renderTable } from './tables.ts'
import type { Target, Verdict } from './targets.ts'

export const LAST_RUN = new URL('last-run.json', import.meta.url)
const DOCUMENT = new URL('../docs/performance.md', import.meta.url)
const WHERE_THE_TIME_GOES = new URL('where-the-time-goes.md', import.meta.url)

const OPENING = `# Performance

<!-- Generated from bench/last-run.json by \`npm run bench:full\`, with bench/where-the-time-goes.md at its end. Change bench/. -->

What is measured here is measured side by side: in one run, on one machine, with one client, server after server in each
round. What counts is the ratio of two servers in the same round, and counts; seconds on this machine mean little on another.
\`npm run bench\` measures most of it in under ten minutes and prints it; \`npm run bench:full\` measures all of it and writes this
document; \`npm run bench -- ROW…\` prints single rows.

* Servers, upstream and clients run on the same machine, each in processes of its own, over loopback, or over a network
  namespace where the network is to be slow. The upstream is the stub registry of the tests; it holds its blobs in memory.
* Every server runs with the configuration of its documentation for a pull-through cache, and with its request log on.
* Servers take turns within a round. A cell is the median of the rounds, and in parentheses the least and the most.
* CPU is user and system time of the server with all its processes and threads, so a busy neighbour changes it little; times and
  rates it does change. *Whole box* is that of the whole machine meanwhile, clients and upstream included: over loopback the kernel
  does some of a server's work while a client has the processor. How many cores others used during a row, and how many the host of
  a virtual machine took, is told with it.
* A goal is held against the median of the rounds, in each of its lines; one failed answer behind a figure and it is missed. "Missed
  by" is how far the worst line is beyond the limit.
`

/** The tables of one row and what Entrepot had to reach in it. */
export function renderRow(row: Row, result: RowResult): string {
  const parts = [`## ${headingOf(row)}`, row.method, circumstances(result)]
  if (result.failed !== undefined)
    return [...parts, `**This row failed:** ${result.failed}`].join('\n\n')
  const tables = row.tables.flatMap(table =>
    [renderTable(table, result), table.note ?? '', renderGrowth(table, result)].filter(Boolean),
  )
  return [...parts, ...tables, ...renderGoals(result)].join('\n\n')
}

export function renderPerformanceDoc({ rows }: Run, whereTheTimeGoes: string): string {
  const boxes = new Map(rows.map(({ box }) => [JSON.stringify(box), box]))
  const sections = ROWS.map(row => {
    const result = rows.find(each => each.row === row.id)
    return result === undefined
      ? `## ${headingOf(row)}\n\nNot measured yet.`
      : renderRow(row, result)
  })
  const machine = `## Machine and versions\n\n${[...boxes.values()].map(renderBox).join('\n\n')}`
  const parts = [OPENING.trimEnd(), renderSummary({ rows }), machine, ...sections]
  return `${[...parts, whereTheTimeGoes.trimEnd()].join('\n\n')}\n`
}

/** For the list of generated documents. */
export async function renderLastRun(): Promise<string> {
  const run = parseRun(await readFile(LAST_RUN, 'utf8'))
  return renderPerformanceDoc(run, await readFile(WHERE_THE_TIME_GOES, 'utf8'))
}

export async function writeDocument(): Promise<void> {
  await writeFile(DOCUMENT, await renderLastRun())
}

/** Every goal with its verdict, a line for each. */
export function renderSummary({ rows }: Run): string {
  const lines = ROWS.flatMap(row => {
    const result = rows.find(each => each.row === row.id)
    return judge(row.id, result).map(({ must, verdict }) => [
      row.goal,
      must,
      verdict?.seen ?? 'not measured',
      verdictWord(verdict),
      verdict?.missedBy ?? '',
    ])
  })
  const head = ['', 'must reach', 'seen', '', 'missed by']
  return `## What must be reached\n\n${alignTable([head, ...lines])}`
}

function headingOf({ goal, title }: Row): string {
  return `${goal} · ${title}`
}

function circumstances(result: RowResult): string {
  const { startedAt, seconds, rounds, foreignCores, stolenCores, box, full } = result
  const others = formatNumber(foreignCores, 2)
  const stolen =
    stolenCores === undefined ? '' : `, and its host took ${formatNumber(stolenCores, 2)}`
  return (
    `Measured ${startedAt.slice(0, 16).replace('T', ' ')} UTC, ${full === false ? 'short form, ' : ''}${rounds} ` +
    `${rounds === 1 ? 'round' : 'rounds'}, ${seconds} s; meanwhile others used ${others} of ${box.cores} cores (${box.processor})${stolen}.`
  )
}

function renderBox(box: Box): string {
  const versions = Object.entries(box.versions).map(([name, version]) => `${name} ${version}`)
  return (
    `${box.cores} cores (${describeProcessor(box)}), ${box.memoryGiB} GiB, ${box.system}, kernel ${box.kernel}, Node ${box.node}.\n\n` +
    `${versions.join(', ')}.`
  )
}

function describeProcessor({ processor, hashes }: Box): string {
  return hashes === undefined ? processor : `${processor}, SHA-256 ${hashes}`
}

type Judged = Target & { readonly verdict: Verdict | undefined }

/** A row that failed has reached nothing, whatever it had until then. */
function judge(row: string, result: RowResult | undefined): readonly Judged[] {
  const usable = result?.failed === undefined ? result : undefined
  return GOALS.filter(goal => goal.row === row).map(goal => ({
    ...goal,
    verdict: usable === undefined ? undefined : goal.judge(usable),
  }))
}

function verdictWord(verdict: Verdict | undefined): string {
  if (verdict === undefined) return '–'
  return verdict.met ? 'reached' : '**missed**'
}

function renderGoals(result: RowResult): readonly string[] {
  const judged = judge(result.row, result)
  if (judged.length === 0) return []
  const table = alignTable([
    ['must reach', 'seen', '', 'missed by'],
    ...judged.map(({ must, verdict }) => [
      must,
      verdict?.seen ?? 'not measured',
      verdictWord(verdict),
      verdict?.missedBy ?? '',
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
