// `queue`: what clients pushed and what waits to be delivered to its upstream.
import { registryOf } from '../oci/reference.ts'
import type { ListedQueue, QueuedPush, RetriedQueue } from '../registry/operator/queue.ts'
import { ENTRY_ID } from '../registry/ports/outbox.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, type CommonOptions, readCommon } from './options.ts'
import {
  describeAge,
  describeCount,
  describeSpan,
  shortDigest,
  writeJson,
  writeTable,
} from './output.ts'

export const help = `entrepot queue ls [--json]
entrepot queue retry ID|--all [--json]
entrepot queue drop ID [--json]

Pushes that were acknowledged here and wait to be delivered to their upstream (push: queue).

  ls     lists them in order. "waiting" is tried by itself; "parked" waits for you: mend what
         its reason says and retry it, or drop it
  retry  makes an entry due now, or with --all every entry; a parked one is not parked any more. It is
         tried once what stands before it is done and its upstream may be asked
  drop   gives an entry up for good: it is never delivered. What was pushed stays here by digest,
         but the upstream has the word on its tags again: a tag that it does not have is gone at
         the next pull, and one that points elsewhere there points there

${COMMON_HELP}

Exit codes: 0 done, 1 no such entry, 69 the server is not running, 78 a faulty configuration may hide where it is

Examples
  entrepot queue ls
  entrepot queue retry 42
  entrepot queue retry --all
  entrepot queue drop 42
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const [action, ...rest] = args
  switch (action) {
    case 'ls':
      return list(rest, context)
    case 'retry':
      return retry(rest, context)
    case 'drop':
      return drop(rest, context)
    default:
      throw new CliError(EXIT_CODES.usage, 'usage: entrepot queue ls|retry|drop')
  }
}

async function list(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot queue ls'
  const { server, json } = readCommon(args, context, { least: 0, most: 0, usage })
  const listed = await askAdmin<ListedQueue>({ server, path: '/queue' })
  if (json) writeJson(context, listed)
  else writeList(context, listed)
  return EXIT_CODES.ok
}

async function retry(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const all = args.includes('--all')
  const own = args.filter(each => each !== '--all')
  const count = all ? { least: 0, most: 0 } : { least: 1, most: 1 }
  const usage = 'entrepot queue retry ID|--all'
  const common = readCommon(own, context, { ...count, usage, changes: true })
  const query = all ? { all: 'true' } : { id: entryId(common) }
  const { server, json } = common
  const done = await askAdmin<RetriedQueue>({ server, method: 'POST', path: '/queue/retry', query })
  if (json) writeJson(context, done)
  else {
    const what = `${describeCount(done.retried, 'entry')} ${done.retried === 1 ? 'is' : 'are'}`
    const when = 'once what stands before it is done and its upstream may be asked'
    context.stdout.write(`${what} due now, ${when}; "entrepot queue ls" shows what came of it\n`)
  }
  return EXIT_CODES.ok
}

async function drop(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot queue drop ID'
  const common = readCommon(args, context, { least: 1, most: 1, usage, changes: true })
  const { server, json } = common
  const query = { id: entryId(common) }
  const lost = await askAdmin<QueuedPush>({ server, method: 'POST', path: '/queue/drop', query })
  if (json) writeJson(context, lost)
  else writeDropped(context, lost)
  return EXIT_CODES.ok
}

/** @throws CliError for what is no number of an entry */
function entryId({ positionals: [text = ''] }: CommonOptions): string {
  if (ENTRY_ID.test(text)) return text
  throw new CliError(
    EXIT_CODES.usage,
    `"${text}" is no ID of the queue, such as 42; "entrepot queue ls" lists them`,
  )
}

function writeList(context: CliContext, { entries, truncated, nowMs }: ListedQueue): void {
  if (entries.length === 0) {
    context.stdout.write('the queue is empty: nothing waits to be delivered\n')
    return
  }
  writeTable(context, [
    ['ID', 'STATE', 'REPOSITORY', 'TAGS', 'PUSHED', 'FAILED', 'NEXT TRY', 'REASON'],
    ...entries.map(entry => [
      String(entry.id),
      entry.state,
      entry.repository,
      whatOf(entry),
      describeAge(nowMs - entry.createdAtMs),
      String(entry.attempts),
      nextTry(entry, nowMs),
      entry.reason ?? '-',
    ]),
  ])
  if (truncated) context.stderr.write('there are more\n')
}

/** The tags, else the digest; an entry that can't be read has neither. */
function whatOf({ tags, digest }: QueuedPush): string {
  if (tags.length > 0) return tags.join(',')
  return digest === undefined ? '?' : shortDigest(digest)
}

function nextTry({ state, nextAtMs }: QueuedPush, nowMs: number): string {
  if (state === 'parked') return 'never'
  return nextAtMs <= nowMs ? 'now' : `in ${describeSpan(nextAtMs - nowMs)}`
}

function writeDropped(context: CliContext, { id, repository, tags, digest }: QueuedPush): void {
  const host = registryOf(repository)
  const tagged = tags.length === 0 ? '' : `:${tags.join(',')}`
  const lines = [
    `dropped ${id}: ${repository}${tagged}${digest === undefined ? '' : ` (${digest})`} is not delivered to ${host}`,
    ...(digest === undefined ? [] : ['what was pushed stays at this edge, by its digest']),
    ...(tags.length === 0
      ? []
      : [`what ${tags.join(', ')} points to is what ${host} says, from the next pull on`]),
  ]
  context.stdout.write(`${lines.join('\n')}\n`)
}
