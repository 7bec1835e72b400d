// Writes the documents that are generated from tables, or with --check says which of them are
// stale. What stands in a document is decided where its table lives; this is the list of them.
import { readFile, writeFile } from 'node:fs/promises'
import { renderLastRun } from '../bench/document.ts'
import { renderConfigurationDoc } from './docs/configuration.ts'
import { renderMetricsDoc } from './docs/metrics.ts'
import { renderNewestSchema } from './docs/newest-schema.ts'
import { renderProtocolDoc } from '../test/kit/protocol-table.ts'

export interface GeneratedDocument {
  /** From the root of the repository. */
  readonly path: string
  /** The whole text, ending in a newline. */
  readonly render: () => string | Promise<string>
}

export const documents: readonly GeneratedDocument[] = [
  { path: 'docs/configuration.md', render: renderConfigurationDoc },
  { path: 'docs/metrics.md', render: renderMetricsDoc },
  { path: 'docs/performance.md', render: renderLastRun },
  { path: 'docs/protocol.md', render: renderProtocolDoc },
  { path: 'src/catalog/sqlite/schema/schema-newest.ts', render: renderNewestSchema },
]

async function main(check: boolean): Promise<void> {
  for (const { path, render } of documents) {
    const file = new URL(`../${path}`, import.meta.url)
    const wanted = await render()
    if ((await readFile(file, 'utf8').catch(() => '')) === wanted) continue
    if (check) {
      console.error(`${path} is stale: run npm run docs`)
      process.exitCode = 1
    } else {
      await writeFile(file, wanted)
      console.log(`${path} written`)
    }
  }
}

if (import.meta.main) await main(process.argv.includes('--check'))
