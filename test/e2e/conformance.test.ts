// Goal: the edge is a registry by the specification's own suite (R237, R238), as it starts with no
// configuration. Method: the official conformance suite, built from its module, against the process
// that `npm start` starts: repositories under `localhost/`, from loopback, the suite's default APIs
// and data sets. Its reports stay in .tap/conformance/.
import { join } from 'node:path'
import t from 'tap'
import { startEdge } from '../kit/edge-process.ts'
import { runConformance, type SuiteRun } from './conformance-suite.ts'
import { freshDirectory } from './processes.ts'

const REPORTS = new URL('../../.tap/conformance/', import.meta.url).pathname
/** Why the suite does not try something here. */
const DISABLED_BECAUSE: Readonly<Record<string, string>> = {
  'Sparse Manifests':
    'off in the suite by default: a manifest without its blobs is refused unless the operator allows it; the sparse runs try it',
  'Blob upload cancel': 'not in version 1.1 of the specification',
  'Manifest put with tag params': 'not in version 1.1 of the specification',
  'Tag Param': 'not in version 1.1 of the specification',
  'Tag Param sha512': 'not in version 1.1 of the specification',
}

/** Fewer than any of its revisions has today. */
const CASES_MIN = 600

interface Case {
  readonly name: string
  readonly version: string
  readonly config?: Readonly<Record<string, unknown>>
  readonly switches?: SuiteRun['switches']
  readonly tls?: true
}

const SPARSE = { repositories: [{ match: 'localhost/**', push: 'store', sparse: true }] }
const EVERYTHING = { OCI_DATA_SPARSE: 'true', OCI_API_BLOBS_MOUNT_ANONYMOUS: 'true' }
const CASES: readonly Case[] = [
  { name: '1.1', version: '1.1' },
  { name: 'dev', version: 'dev' },
  { name: '1.1-tls', version: '1.1', tls: true },
  { name: 'dev-tls', version: 'dev', tls: true },
  { name: '1.1-sparse', version: '1.1', config: SPARSE, switches: EVERYTHING },
  { name: 'dev-sparse', version: 'dev', config: SPARSE, switches: EVERYTHING },
]

for (const each of CASES) {
  t.test(`conformance suite, ${each.name}: no failure and nothing skipped`, async t => {
    const { config = {}, tls } = each
    const directory = freshDirectory('conformance')
    const edge = await startEdge({ directory, config, ...(tls && { tls }) })
    t.teardown(() => edge.stop())
    const report = await runConformance({
      authority: new URL(edge.url).host,
      version: each.version,
      repositories: ['localhost/conformance/one', 'localhost/conformance/two'],
      reportDirectory: join(REPORTS, each.name),
      ...(each.switches === undefined ? {} : { switches: each.switches }),
      ...(tls && { caFile: join(directory, 'ca.crt') }),
    })
    t.comment(
      `conformance ${each.name}: ${report.passed} passed, ${report.failed.length} failed, ${report.skipped.length} skipped`,
    )
    for (const what of report.disabled) {
      t.comment(`  disabled: ${what}: ${DISABLED_BECAUSE[what] ?? 'NO REASON KNOWN'}`)
    }
    t.same(report.failed, [], 'no case failed')
    t.same(report.skipped, [], 'no case was skipped')
    t.same(
      report.disabled.filter(what => DISABLED_BECAUSE[what] === undefined),
      [],
      'whatever the suite did not try has a reason',
    )
    t.ok(report.passed > CASES_MIN, 'the suite really ran')
  })
}
