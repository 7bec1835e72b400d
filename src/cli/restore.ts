// `restore`: brings a backup back into a data directory that has nothing, before a server runs
// there.
import { BackupError } from '../backup/backup-error.ts'
import { CATALOG_NAME, readBackup } from '../backup/read-backup.ts'
import { assertEmpty, type Restored, restoreBackup } from '../backup/restore.ts'
import { BackupTarget } from '../backup/target.ts'
import { verifyBackup } from '../backup/verify.ts'
import { parseSelector } from '../config/selectors.ts'
import type { Digest } from '../oci/digest.ts'
import { RegistryError } from '../oci/errors.ts'
import type { RepositoryKey } from '../oci/reference.ts'
import { compileSelector } from '../registry/pins/selectors.ts'
import { ACCOUNTS_NAME } from './backup-secrets.ts'
import { requireConfiguration } from './configuration.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { describeBytes, describeCount } from './output.ts'
import { lastOf, takeOwnOptions } from './own-options.ts'
import { ProgressReport } from './progress-report.ts'
import { parseArgs } from 'node:util'

export const help = `entrepot restore DIRECTORY [--repository PATTERN]… [--into PATH] [--partial] [--json]

Brings the newest backup in DIRECTORY back, as "entrepot backup" wrote it, into the data directory of the configuration, which has to be
empty or not there; no server runs on it yet. All of the backup is verified before anything is written. Then start the server: it says
what is missing, if something is.

  --repository PATTERN  only what was pushed to the repositories that match, such as localhost/team/**; may be given more than once. What is
                        cached, keys and accounts stay behind
  --into PATH           another data directory than storage.rootdirectory
  --partial             also where the backup has faults: what is right is brought back, and what is not is named
  --json                print JSON, failures as {"error": {"exitCode", "message"}} on standard error
  --config FILE         the configuration that the server will run with

Exit codes: 0 brought back, 1 not, or with --partial not all of it, with the reason, 2 wrong arguments

Examples
  entrepot restore /mnt/backup/edge
  entrepot restore /mnt/backup/edge --repository 'localhost/team/**' --into /srv/other
`

const OWN = {
  repository: { type: 'string' },
  into: { type: 'string' },
  partial: { type: 'boolean' },
} as const
const USAGE = 'entrepot restore DIRECTORY'

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  try {
    return await restore(args, context)
  } catch (error) {
    if (!(error instanceof BackupError || error instanceof RegistryError)) throw error
    throw new CliError(EXIT_CODES.failed, error.message)
  }
}

async function restore(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const own = takeOwnOptions(args, OWN)
  const { values, positionals } = parseArgs({
    args: [...own.rest],
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, config: { type: 'string' } },
  })
  const [root] = positionals
  if (root === undefined || positionals.length > 1)
    throw new CliError(EXIT_CODES.usage, `usage: ${USAGE}`)
  const isWanted = wantedOf(own.values.repository)
  const into =
    lastOf(own.values.into) ?? requireConfiguration(context, values.config).storage.rootDirectory
  const target = BackupTarget.find(root)
  const path = target.backups().at(-1)
  if (path === undefined)
    throw new CliError(EXIT_CODES.failed, `${root} has no backup that is whole`)
  assertEmpty(into)
  const report = new ProgressReport({ json: values.json, context })
  const faults = await verifyFirst({ target, path, report, isPartial: own.has('partial') })
  const restored = await restoreBackup({
    target,
    path,
    into,
    isWanted,
    leftOut: faults.contents,
    withoutCatalog: faults.files.has(CATALOG_NAME),
    progress: doneBytes =>
      report.progress('restore', { kind: 'copied', doneBytes, totalBytes: faults.totalBytes }),
  })
  report.tell({ kind: 'restored', into, ...restored }, describeRestored(into, restored))
  if (faults.count === 0) return EXIT_CODES.ok
  throw new CliError(
    EXIT_CODES.failed,
    `not all of it: ${describeCount(faults.count, 'fault')} are named above`,
  )
}

/** Undefined: all. @throws CliError, RegistryError for what is no pattern of repositories */
function wantedOf(patterns: readonly string[]): ((key: RepositoryKey) => boolean) | undefined {
  if (patterns.length === 0) return undefined
  const matchers = patterns.map(text => {
    const selector = parseSelector(text)
    if (selector.kind === 'repositories') return compileSelector(selector)
    throw new CliError(
      EXIT_CODES.usage,
      `--repository ${text}: a pattern of repositories has no tag and no digest`,
    )
  })
  return key => matchers.some(each => each.isAbout(key))
}

interface VerifyingFirst {
  readonly target: BackupTarget
  readonly path: string
  readonly report: ProgressReport
  readonly isPartial: boolean
}

interface Faults {
  readonly count: number
  readonly contents: ReadonlySet<Digest>
  /** Beside the list, by their names. */
  readonly files: ReadonlySet<string>
  readonly totalBytes: number
}

/** Returns what faults it has. @throws CliError where nothing is to be brought back */
async function verifyFirst({ target, path, report, isPartial }: VerifyingFirst): Promise<Faults> {
  let count = 0
  const contents = new Set<Digest>()
  const files = new Set<string>()
  const { end } = await readBackup(path)
  const backup = await verifyBackup(target, path, {
    fault: (message, of) => {
      count += 1
      if (of !== 'list' && 'content' in of) contents.add(of.content)
      else if (of !== 'list') files.add(of.file)
      report.tell({ kind: 'fault', message }, `${message}\n`)
    },
    progress: doneBytes =>
      report.progress('verify', { kind: 'read', doneBytes, totalBytes: end.bytes }),
  })
  // Without facts nobody knows what was acknowledged, and a key or an account is right or none.
  const isToBeHad = backup !== undefined && [...files].every(name => name === CATALOG_NAME)
  if (count === 0 || (isPartial && isToBeHad))
    return { count, contents, files, totalBytes: end.bytes }
  const wayOut = isToBeHad
    ? '--partial brings back what is right'
    : `its list, facts and secrets have to be right: move ${path} away, and the backup before it is brought back, where --keep left one`
  const message = `nothing is brought back: ${path} has ${describeCount(count, 'fault')}; ${wayOut}`
  throw new CliError(EXIT_CODES.failed, message)
}

function describeRestored(into: string, { contents, bytes, facts, secrets }: Restored): string {
  const all = `${into}: ${contents} manifests and blobs, ${describeBytes(bytes)}, ${describeCount(facts, 'fact')}`
  const own = secrets.length === 0 ? '' : `, ${secrets.join(', ')}`
  const accounts = secrets.includes(ACCOUNTS_NAME)
    ? `Move ${into}/${ACCOUNTS_NAME} to where auth.htpasswd.path says.\n`
    : ''
  return `${all}${own}\n${accounts}Start the server: it says what is missing, if something is.\n`
}
