// `backup`: copies what was pushed here, and what this edge knows of it, to another place, while
// clients push. The running server says what there is, and holds it; this command reads, checks and
// writes.
import { BackupError } from '../backup/backup-error.ts'
import { readBackup } from '../backup/read-backup.ts'
import { BackupTarget } from '../backup/target.ts'
import { verifyBackup } from '../backup/verify.ts'
import { writeBackup, type WrittenBackup } from '../backup/write-backup.ts'
import { bundleKeyId } from '../bundle/bundle-key.ts'
import { parseWhole } from './whole-number.ts'
import { BackupSession } from './backup-session.ts'
import { readSecrets } from './backup-secrets.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeCount } from './output.ts'
import { lastOf, takeOwnOptions } from './own-options.ts'
import { ProgressReport } from './progress-report.ts'

export const help = `entrepot backup DIRECTORY [--kept|--all] [--secrets] [--keep N] [--json]
entrepot backup verify DIRECTORY [--json]

Copies what was pushed here, with all that this edge knows of it, into DIRECTORY, while clients push: every push that was acknowledged
before the backup began is in it. What is there from an earlier backup stays and is not copied again; on the same file system new
content is a second name of the same file. Every byte is checked as it is copied. A backup that is cut off counts for nothing, and the
one before it is whole.

verify reads all of the newest backup there, and names what has rotted or is missing; "entrepot restore" brings it back.

  --kept     what was pushed or imported here, and no upstream can be asked for. This is the default
  --all      what is cached as well
  --secrets  also the keys, robots and accounts of this edge (tokens.json, robots.json, bundle-key.json, and the file of accounts), which
             are read by this command, as root or the user of the server: whoever has such a backup can log in by it, and sign as this edge
  --keep N   so many backups are there afterwards, 1 to 1000; older ones go. Default 1
${COMMON_HELP}

Exit codes: 0 written, or right, 1 not, or not all of it, with the reason, 2 wrong arguments, 69 the server is not running

Examples
  entrepot backup /mnt/backup/edge
  entrepot backup /mnt/backup/edge --secrets --keep 7
  entrepot backup verify /mnt/backup/edge
`

const KEEP_MAX = 1_000
const OWN = {
  kept: { type: 'boolean' },
  all: { type: 'boolean' },
  secrets: { type: 'boolean' },
  keep: { type: 'string' },
} as const

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  try {
    if (args[0] === 'verify') return await verify(args.slice(1), context)
    return await backUp(args, context)
  } catch (error) {
    if (!(error instanceof BackupError)) throw error
    throw new CliError(EXIT_CODES.failed, error.message)
  }
}

async function backUp(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot backup DIRECTORY'
  const own = takeOwnOptions(args, OWN)
  const common = readCommon(own.rest, context, { least: 1, most: 1, usage, changes: true })
  const [root = ''] = common.positionals
  if (own.has('kept') && own.has('all'))
    throw new CliError(EXIT_CODES.usage, '--kept is without what is cached, and --all with it')
  const keep = parseWhole(lastOf(own.values.keep) ?? '1', { name: '--keep', min: 1, max: KEEP_MAX })
  const target = await BackupTarget.open(root)
  const { server } = common
  const session = await BackupSession.begin({ server, of: own.has('all') ? 'all' : 'kept' })
  try {
    await assertOwn(target, session)
    const secrets = own.has('secrets') ? await readSecrets({ ...common, session, context }) : []
    const report = new ProgressReport({ ...common, context })
    const written = await write({ target, keep, session, report, secrets })
    if (secrets.length === 0) report.note(WITHOUT_SECRETS)
    const { path, lost } = written
    report.tell({ kind: 'written', ...written }, describeWritten(written))
    if (lost === 0) return EXIT_CODES.ok
    const what = describeCount(lost, 'blob')
    const message = `${path} is without ${what} that was pushed here: what is named above has to be pushed again`
    throw new CliError(EXIT_CODES.failed, message)
  } finally {
    session.end()
  }
}

const WITHOUT_SECRETS =
  'without the keys, robots and accounts of this edge: they are copied with --secrets alone'

interface Writing extends Pick<Parameters<typeof writeBackup>[0], 'target' | 'keep'> {
  readonly session: BackupSession
  readonly report: ProgressReport
  readonly secrets: Parameters<BackupSession['source']>[0]
}

/** @throws CliError with what broke it */
async function write({ session, report, secrets, ...rest }: Writing): Promise<WrittenBackup> {
  const { contentBytes: totalBytes } = session.begun
  try {
    return await writeBackup({
      ...rest,
      source: session.source(secrets),
      lost: async (content, why) => {
        const repositories = await session.lookAgain(content)
        const { content: digest, kept = false } = content
        const lost = { kind: 'lost', digest, why, kept, repositories }
        const what = why === 'rotten' ? 'has rotted on the disk of this edge' : 'is not to be had'
        const who = repositories.length === 0 ? '' : ` of ${repositories.join(', ')}`
        const then = kept ? 'push it again' : 'it is pulled anew when it is asked for'
        report.tell(lost, `${digest}${who} ${what}: ${then}\n`)
      },
      progress: async doneBytes => {
        await session.tell(doneBytes)
        report.progress('backup', { kind: 'copied', doneBytes, totalBytes })
      },
    })
  } catch (error) {
    const message = await session.brokenBy()
    if (message === undefined) throw error
    throw new CliError(EXIT_CODES.failed, message)
  }
}

/** @throws CliError where backups of another edge are there */
async function assertOwn(target: BackupTarget, { begun }: BackupSession): Promise<void> {
  const last = target.backups().at(-1)
  if (last === undefined) return
  const { key } = await readBackup(last)
  if (key === begun.key) return
  const message = `${target.root} has backups of another edge, whose key is ${bundleKeyId(key)}; this one's is ${bundleKeyId(begun.key)}: name another directory`
  throw new CliError(EXIT_CODES.failed, message)
}

function describeWritten(written: WrittenBackup): string {
  const { path, contents, bytes, newContents, newBytes, linked, facts, leftOut } = written
  const all = `${contents} manifests and blobs, ${describeBytes(bytes)}`
  const fresh = newContents === 0 ? 'none new' : `${newContents} new, ${describeBytes(newBytes)}`
  const links = linked === 0 ? '' : `, ${linked} of them as second names of the edge's own files`
  const left = leftOut === 0 ? '' : `; without ${leftOut} that were cached, and left meanwhile`
  return `${path}: ${all} (${fresh}${links}), ${describeCount(facts, 'fact')}${left}\n`
}

async function verify(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot backup verify DIRECTORY'
  const { json, positionals } = readCommon(args, context, { least: 1, most: 1, usage })
  const [root = ''] = positionals
  const target = BackupTarget.find(root)
  const path = target.backups().at(-1)
  if (path === undefined)
    throw new CliError(EXIT_CODES.failed, `${root} has no backup that is whole`)
  const report = new ProgressReport({ json, context })
  let faults = 0
  let contents = 0
  let totalBytes = 0
  await readBackup(path, ({ size }) => void (totalBytes += size)).catch(() => {})
  const backup = await verifyBackup(target, path, {
    fault: message => {
      faults += 1
      report.tell({ kind: 'fault', message }, `${message}\n`)
    },
    progress: doneBytes => {
      contents += 1
      report.progress('verify', { kind: 'read', doneBytes, totalBytes })
    },
  })
  if (faults > 0 || backup === undefined) {
    const message = `${path} has ${describeCount(faults, 'fault')}: where a file of ${root}/blobs is named, remove it, and the next backup copies it again`
    throw new CliError(EXIT_CODES.failed, message)
  }
  const { key } = backup
  const line = `${path}: ${contents} manifests and blobs, ${describeBytes(totalBytes)}, all right; signed by ${bundleKeyId(key)}\n`
  report.tell({ kind: 'right', path, contents, bytes: totalBytes, key }, line)
  return EXIT_CODES.ok
}
