// What fsck found, for people: by kinds, each with what it means and the way out.
import { DAMAGES, type DamageKind } from '../registry/fsck/damage.ts'
import type { FoundKind, FsckReport } from '../registry/fsck/report.ts'
import type { Mended } from '../registry/fsck/run-fsck.ts'
import type { CliContext } from './context.ts'
import { describeBytes, describeCount } from './output.ts'

/** Lines of one kind; with --json there are more. */
const LINES_MAX = 50

export function writeFsck(
  context: CliContext,
  report: FsckReport,
  mended: readonly Mended[] | undefined,
): void {
  if (mended !== undefined) context.stdout.write(`${describeMended(mended)}\n`)
  for (const found of report.found) writeKind(context, found)
  const { rows, files, facts, images, readBlobs, readBytes } = report.looked
  const looked = [rows && describeCount(rows, 'row'), describeCount(files, 'file')]
  const beside = [describeCount(facts, 'fact'), describeCount(images, 'manifest')]
  const read = readBlobs === 0 ? [] : [`${describeBytes(readBytes)} read`]
  const all = [...looked, ...beside, ...read].filter(each => each !== 0).join(', ')
  context.stdout.write(`looked at ${all}: ${verdict(report)}\n`)
}

function verdict({ repairable, operators }: FsckReport): string {
  const count = repairable + operators
  if (count === 0) return 'nothing is wrong'
  const whose = `${repairable} of which the server puts right, ${operators} for you to`
  return `${describeCount(count, 'damage')}, ${whose}`
}

function writeKind({ stdout }: CliContext, { kind, count, damages }: FoundKind): void {
  const { means, way, mender }: (typeof DAMAGES)[DamageKind] = DAMAGES[kind]
  const sign = mender === 'nobody' ? 'note: ' : ''
  stdout.write(`${sign}${kind} (${count}): ${means}. What to do: ${way}\n`)
  for (const { what, detail } of damages.slice(0, LINES_MAX))
    stdout.write(`  ${what}${detail === '' ? '' : `  ${detail}`}\n`)
  if (count > LINES_MAX) stdout.write(`  and ${count - LINES_MAX} more\n`)
}

function describeMended(mended: readonly Mended[]): string {
  const what = mended.map(({ kind, count }) => `${kind} (${count})`).join(', ')
  return `repaired: ${what === '' ? 'nothing could be' : what}`
}
