// Goal: the edge is a registry by the specification's own suite (R237, R238), as it starts with no
// configuration. Method: the official conformance suite, built from its module, against the process
// that `npm start` starts: repositories under `localhost/`, from loopback, the suite's default APIs
// and data sets; with accounts as well, logged in by tokens and by a password with each request.
// Its reports stay in .tap/conformance/.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
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
  readonly shown?: 'when asked' | 'always'
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
const LOGGED_IN: readonly Case[] = [
  { name: '1.1-bearer', version: '1.1', shown: 'when asked' },
  { name: 'dev-bearer', version: 'dev', shown: 'when asked' },
  { name: '1.1-basic', version: '1.1', shown: 'always' },
  { name: 'dev-basic', version: 'dev', shown: 'always' },
]

/** By htpasswd of Apache 2.4. */
const ACCOUNT = 'alice:$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2\n'
const ALICE = { username: 'alice', password: 's3cret' }

for (const each of CASES)
  t.test(`conformance suite, ${each.name}: no failure and nothing skipped`, t => conforms(t, each))

for (const each of LOGGED_IN)
  t.test(`R535: conformance suite, ${each.name}: no failure and nothing skipped`, t =>
    conforms(t, each),
  )

async function conforms(t: Test, each: Case): Promise<void> {
  const { config = {}, tls, shown } = each
  const directory = freshDirectory('conformance')
  const path = join(directory, 'htpasswd')
  writeFileSync(path, ACCOUNT, { mode: 0o600 })
  const accounts = shown && { auth: { htpasswd: { path } } }
  const edge = await startEdge({
    directory,
    config: { ...config, ...accounts },
    ...(tls && { tls }),
  })
  t.teardown(() => edge.stop())
  const report = await runConformance({
    authority: new URL(edge.url).host,
    version: each.version,
    repositories: ['localhost/conformance/one', 'localhost/conformance/two'],
    reportDirectory: join(REPORTS, each.name),
    ...(each.switches === undefined ? {} : { switches: each.switches }),
    ...(tls && { caFile: join(directory, 'ca.crt') }),
    ...(shown && { login: { ...ALICE, shown } }),
  })
  if (shown !== undefined) {
    const tokens = edge.logs.filter(line => line['endpoint'] === 'token')
    t.equal(tokens.length > 0, shown === 'when asked', 'it logged in the way that was meant')
  }
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
}
