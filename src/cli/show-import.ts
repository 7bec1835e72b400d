// What an import tells, for people.
import type { ImportEvent } from '../registry/carry/import-answers.ts'
import type { CliContext } from './context.ts'
import { describeBytes, describeCount, shortDigest } from './output.ts'

/** For people. */
export function show(event: ImportEvent, { stdout, stderr }: CliContext): void {
  switch (event.kind) {
    case 'inventory': {
      const { edge, keyId, images, bytes, isTrusted } = event
      const trusted = isTrusted ? 'a trusted key' : OF_WHOM
      const what = `${describeCount(images, 'image')}, ${describeBytes(bytes)}`
      return void stdout.write(`${what}, of edge ${edge}; signed by ${keyId}, ${trusted}\n`)
    }
    case 'archive':
      return showArchive(event, { stdout, stderr })
    case 'lacking':
      // How it ends says so, and what to do.
      return
    case 'note':
      return void stderr.write(`${event.message}\n`)
    case 'image': {
      const { image, digest, outcome } = event
      return void stdout.write(`${image}  ${shortDigest(digest)}  ${OUTCOMES[outcome]}\n`)
    }
    case 'imported': {
      const { images, written, writtenBytes, hereBytes, dryRun } = event
      const would = dryRun ? 'would be ' : ''
      const stored = `${describeCount(written, 'manifest or blob')} ${would}written, ${describeBytes(writtenBytes)}`
      const here = `${describeBytes(hereBytes)} were here`
      return void stdout.write(
        `${describeCount(images, 'image')} ${would}imported: ${stored}; ${here}\n`,
      )
    }
  }
}

const OF_WHOM = 'whose key that is nobody asked: import.trustedkeys or --require-signature does'

function showArchive(
  { form, images, bytes, leftOut, nameless }: Extract<ImportEvent, { kind: 'archive' }>,
  { stdout, stderr }: Pick<CliContext, 'stdout' | 'stderr'>,
): void {
  const made = form === 'docker archive' ? '; manifests made as skopeo makes them' : ''
  const what = `${describeCount(images, 'image')}, ${describeBytes(bytes)}`
  stdout.write(`${what}, ${form} that nobody signed${made}\n`)
  if (leftOut > 0)
    stderr.write(`${describeCount(leftOut, 'manifest')} that indexes list left out: not in it\n`)
  if (nameless > 0)
    stderr.write(`${describeCount(nameless, 'image')} left out: it says no names of them\n`)
}

const OUTCOMES = {
  new: 'new',
  moved: 'moved here',
  same: 'was here',
  older: 'left: this edge has later word of it',
  upstream: 'left: its upstream is asked here, and has the word',
  'pushed here': 'left: it was pushed here, or came from another edge',
  immutable: 'left: it is immutable',
} as const satisfies Record<Extract<ImportEvent, { kind: 'image' }>['outcome'], string>
