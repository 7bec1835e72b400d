// The official conformance suites of the distribution specification as child processes, and their
// reports as numbers: today's, and the one before it, which is another program with other switches.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { finished, startProcess } from './processes.ts'
import { goTool } from './tools.ts'

export interface SuiteRun {
  /** `127.0.0.1:PORT` */
  readonly authority: string
  /** The authority of the server's certificate, in a file; undefined: plain HTTP. */
  readonly caFile?: string
  /** `1.1` or `dev`: which revision of the specification is checked. */
  readonly version: string
  /**
   * Default: it logs in as nobody. `when asked`: as the challenge says, which is by tokens here;
   * `always`: it shows name and password with each request, asked or not.
   */
  readonly login?: {
    readonly username: string
    readonly password: string
    readonly shown: 'when asked' | 'always'
  }
  /** Two repositories, for mounts. */
  readonly repositories: readonly [string, string]
  /** Switches of the suite beyond its defaults: `{ OCI_DATA_SPARSE: 'true' }`. */
  readonly switches?: Readonly<Record<string, string>>
  /** Where `junit.xml`, `results.yaml` and `report.html` are kept; emptied before. */
  readonly reportDirectory: string
}

export interface SuiteReport {
  readonly passed: number
  /** Names of the cases that failed. */
  readonly failed: readonly string[]
  /** Cases of an API that is disabled do not count here: the suite reports them as skipped, too. */
  readonly skipped: readonly string[]
  /** APIs and data sets that the suite did not try, by the name that it gives them. */
  readonly disabled: readonly string[]
}

/** Cases, by the end of their name, that need an API which not every revision has. */
const API_OF_CASE: Readonly<Record<string, string>> = { 'blob-post-cancel': 'Blob upload cancel' }

function lastOf(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** A thousand small requests on loopback; longer is a hang. */
const TIMEOUT_MS = 180_000

/**
 * The suite exits with 1 when a case failed; that is for the caller to judge.
 * @throws Error when there is no report
 */
export async function runConformance(run: SuiteRun): Promise<SuiteReport> {
  rmSync(run.reportDirectory, { recursive: true, force: true })
  mkdirSync(run.reportDirectory, { recursive: true })
  const { login } = run
  // What stands in a URL Go's client sends by itself.
  const inUrl = login?.shown === 'always' ? `${login.username}:${login.password}@` : ''
  const suite = startProcess(goTool('conformance'), [], {
    env: {
      OCI_REGISTRY: `${inUrl}${run.authority}`,
      ...(run.caFile === undefined
        ? { OCI_TLS: 'disabled' }
        : { OCI_TLS: 'enabled', SSL_CERT_FILE: run.caFile }),
      ...(login?.shown === 'when asked' && {
        OCI_USERNAME: login.username,
        OCI_PASSWORD: login.password,
      }),
      OCI_REPO1: run.repositories[0],
      OCI_REPO2: run.repositories[1],
      OCI_VERSION: run.version,
      OCI_RESULTS_DIR: run.reportDirectory,
      ...run.switches,
    },
  })
  await finished(suite, 'the conformance suite', TIMEOUT_MS).catch((error: unknown) => {
    if (!String(error).includes('Conformance test detected a failure')) throw error
  })
  const junit = readFileSync(join(run.reportDirectory, 'junit.xml'), 'utf8')
  const results = readFileSync(join(run.reportDirectory, 'results.yaml'), 'utf8')
  const cases = [...junit.matchAll(/<testcase name="([^"]*)"[^>]* status="(\w+)"/g)]
  const named = (status: RegExp) =>
    cases.filter(each => status.test(each[2] ?? '')).map(each => each[1] ?? '')
  const disabled = [...results.matchAll(/^ {2}(.+): Disabled$/gm)].map(each => each[1] ?? '')
  return {
    passed: named(/^passed$/).length,
    failed: named(/^(?!passed$|skipped$|disabled$)/),
    skipped: named(/^skipped$/).filter(name => !disabled.includes(API_OF_CASE[lastOf(name)] ?? '')),
    disabled,
  }
}

export interface EarlierRun {
  /** `http://127.0.0.1:PORT` */
  readonly url: string
  readonly repositories: readonly [string, string]
  /**
   * Manifests go before blobs at the end of a workflow, or the other way round; both are allowed.
   */
  readonly manifestsFirst: boolean
  /** Where `junit.xml` and `report.html` are kept; emptied before. */
  readonly reportDirectory: string
}

/**
 * The suite as it was before 1.1.0, with all its workflows.
 * @throws Error when there is no report
 */
export async function runEarlierSuite(run: EarlierRun): Promise<Omit<SuiteReport, 'disabled'>> {
  rmSync(run.reportDirectory, { recursive: true, force: true })
  mkdirSync(run.reportDirectory, { recursive: true })
  const suite = startProcess(goTool('conformance-before-1.1'), [], {
    cwd: run.reportDirectory,
    env: {
      OCI_ROOT_URL: run.url,
      OCI_NAMESPACE: run.repositories[0],
      OCI_CROSSMOUNT_NAMESPACE: run.repositories[1],
      OCI_TEST_PULL: '1',
      OCI_TEST_PUSH: '1',
      OCI_TEST_CONTENT_DISCOVERY: '1',
      OCI_TEST_CONTENT_MANAGEMENT: '1',
      OCI_AUTOMATIC_CROSSMOUNT: '1',
      OCI_DELETE_MANIFEST_BEFORE_BLOBS: run.manifestsFirst ? '1' : '0',
    },
  })
  await finished(suite, 'the earlier suite', TIMEOUT_MS).catch((error: unknown) => {
    if (!String(error).includes('--- FAIL')) throw error
  })
  const junit = readFileSync(join(run.reportDirectory, 'junit.xml'), 'utf8')
  const cases = [...junit.matchAll(/<testcase name="([^"]*)"[^>]*?(?:\/>|>([^]*?)<\/testcase>)/g)]
  const named = (inside: RegExp) =>
    cases.filter(([, , body = '']) => inside.test(body)).map(([, name = '']) => name)
  const failed = named(/<(?:failure|error)\b/)
  const skipped = named(/<skipped\b/)
  return { passed: cases.length - failed.length - skipped.length, failed, skipped }
}
