// `npm run bench:eviction [-- QUESTION…]`, with `--seed N` and `--seeds N`, or `--log FILE` as
// often as wanted: simulates in which order images should leave a full cache, and prints tables in
// Markdown. With `--log` the orders are compared on published logs of a registry instead of the
// traces that are made here. Nothing is kept; docs/adr/0030-eviction.md says what followed.
import { parseArgs } from 'node:util'
import { CHOSEN } from './policies.ts'
import { type Answer, QUESTIONS, compare } from './questions.ts'
import { readRegistryLog } from './registry-log.ts'
import { type Cell, against, table } from './runs.ts'

function print(title: string, answers: readonly Answer[]): void {
  console.log(`## ${title}\n`)
  const headings = [...new Set(answers.flatMap(answer => Object.keys(answer)))]
  const cellsOf = (heading: string) => answers.flatMap(answer => answer[heading] ?? [])
  for (const heading of headings) console.log(`${table(heading, cellsOf(heading))}\n`)
  for (const what of ['fetched, % of asked', 'pulls that waited, %', 'hours waited']) {
    const all = headings.filter(heading => heading.endsWith(`: ${what}`))
    const cells = all.flatMap(heading =>
      cellsOf(heading).map((cell): Cell => ({ ...cell, column: heading + cell.column })),
    )
    if (cells.length > 0) console.log(`${table(`over all: ${what}`, against('LRU', cells))}\n`)
  }
}

function main(): void {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      log: { type: 'string', multiple: true },
    },
  })
  if (values.log !== undefined)
    return print('published logs', [compare(readRegistryLog(values.log))])
  const unknown = positionals.filter(name => !QUESTIONS.some(each => each.name === name))
  if (unknown.length > 0)
    throw new Error(
      `no such question: ${unknown.join(', ')}; there are ${QUESTIONS.map(({ name }) => name).join(', ')}`,
    )
  const first = Number(values.seed)
  const seeds = Array.from({ length: Number(values.seeds) }, (_, n) => first + n)
  console.log(`seeds: ${seeds.join(', ')}; chosen: ${CHOSEN.name}\n`)
  for (const { name, asks, answer } of QUESTIONS) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    const startMs = performance.now()
    print(`${name}: ${asks}`, seeds.map(answer))
    console.error(`${name}: ${Math.round((performance.now() - startMs) / 1000)} s`)
  }
}

try {
  main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
