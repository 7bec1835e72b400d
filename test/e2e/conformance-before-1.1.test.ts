// Goal: the edge passes the conformance suite as it was around release 1.1.0 too, which hosters run
// as it is and which asks other questions than today's (R284). Method: one revision of shortly
// before that release, pinned, built as a test program, against the process that `npm start`
// starts, in both orders of deletion. Its reports stay in .tap/conformance/.
import { join } from 'node:path'
import t from 'tap'
import { startEdge } from '../kit/worlds/edge-process.ts'
import { runEarlierSuite } from './conformance-suite.ts'

const REPORTS = new URL('../../.tap/conformance/', import.meta.url).pathname
/**
 * By the end of their names: cases that answer for another kind of registry, or for a run that may
 * not push.
 */
const SKIPPED_BECAUSE: Readonly<Record<string, string>> = {
  'Get tag name from environment': 'for runs that do not push',
  'Populate registry with test tags (no push)': 'for runs that do not push',
  'Cross-mounting of nonexistent blob should yield session id':
    'for registries that did not mount the blob before it; this one did',
  'Cross-mounting without from, and automatic content discovery disabled should return a 202':
    'for registries that mount only with from; its counterpart ran',
}
/** Fewer than it has. */
const CASES_MIN = 50

function reasonFor(what: string): string | undefined {
  return Object.entries(SKIPPED_BECAUSE).find(([name]) => what.endsWith(name))?.[1]
}

for (const manifestsFirst of [true, false]) {
  const name = `before-1.1-${manifestsFirst ? 'manifests' : 'blobs'}-first`
  t.test(`R284: the conformance suite ${name} has no failure`, async t => {
    const edge = await startEdge()
    t.teardown(() => edge.stop())
    const report = await runEarlierSuite({
      url: edge.url,
      repositories: ['localhost/conformance/one', 'localhost/conformance/two'],
      manifestsFirst,
      reportDirectory: join(REPORTS, name),
    })
    t.comment(
      `conformance ${name}: ${report.passed} passed, ${report.failed.length} failed, ${report.skipped.length} skipped`,
    )
    for (const what of report.skipped) {
      t.comment(`  skipped: ${what}: ${reasonFor(what) ?? 'NO REASON KNOWN'}`)
    }
    t.same(report.failed, [], 'no case failed')
    t.same(
      report.skipped.filter(what => reasonFor(what) === undefined),
      [],
      'whatever was skipped has a reason',
    )
    t.ok(report.passed > CASES_MIN, 'the suite really ran')
  })
}
