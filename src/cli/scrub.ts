// entrepot scrub: reads all that is here once more, and tells what is not what its digest says; the
// running server does it.
import type { ScrubResult } from '../registry/scrub/scrub.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeCount, writeJson, writeTable } from './output.ts'
import { assertDone, type Done, followRun } from './run-job.ts'

export const help = `entrepot scrub [--dry-run] [--json]

Reads every byte that is here, and compares it with its digest. What is wrong is put out of the way and fetched again
where its upstream has it. What was pushed here and is nowhere else is named, with the images that it breaks: a push of
the same image, an import of its bundle, or its file from a backup, heals it. The server does it by itself within
storage.scrub.period (7 days); this is all of it now, as fast as the disk gives it. Ctrl-C ends it; the next one begins
with what it had not read.

  --dry-run  changes nothing, and tells what is wrong
${COMMON_HELP}

Exit codes: 0 all is in order, or was put right; 1 something is broken, or the run failed or was cancelled; 69 the
server is not running

Examples
  entrepot scrub
  entrepot scrub --json
`

const USAGE = 'entrepot scrub [--dry-run] [--json]'

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const dryRun = args.includes('--dry-run')
  const own = args.filter(each => each !== '--dry-run')
  const count = { least: 0, most: 0 }
  const { server, json } = readCommon(own, context, { ...count, usage: USAGE, changes: true })
  const query = { name: 'scrub', 'dry-run': String(dryRun) }
  const done = await followRun({ server, path: '/jobs/run', query }, { json, context })
  const { kind: _, ...told } = done
  if (json) writeJson(context, told)
  else writeScrubbed(context, done)
  assertDone('scrub', done)
  const { broken = 0 } = (done as Done & Partial<ScrubResult>).healed ?? {}
  if (broken === 0) return EXIT_CODES.ok
  throw new CliError(EXIT_CODES.failed, `${describeCount(broken, 'blob')} broken`)
}

function writeScrubbed(context: CliContext, done: Done & Partial<ScrubResult>): void {
  const { gone, count, readBlobs = 0, readBytes = 0 } = done
  if (gone.length > 0)
    writeTable(context, [
      ['WHAT', 'SIZE', 'FOUND'],
      ...gone.map(({ what, bytes, reason }) => [what, describeBytes(bytes), reason]),
    ])
  if (count > gone.length) context.stdout.write(`and ${count - gone.length} more\n`)
  const read = `${describeCount(readBlobs, 'blob')}, ${describeBytes(readBytes)} read`
  context.stdout.write(`${read}; ${count === 0 ? 'all in order' : `${count} wrong`}\n`)
}
