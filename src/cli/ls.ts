// `ls`: the tags that are here, and kept images that no tag names.
import type { ListedImage, ListedImages, ListOrder } from '../registry/operator/list-images.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import {
  describeBytes,
  describeCount,
  describeSince,
  shortDigest,
  writeJson,
  writeTable,
} from './output.ts'

export const help = `entrepot ls [PATTERN] [--sort size|last-pull|pulls] [--json]

The images that are here, which of them are whole, and how large they are with all their platforms. PATTERN is a glob over
repository:tag, with or without the registry; without a slash it is looked for in every part of the name. What was pushed
here and has no tag any more is listed as REPO@sha256:…, unless an index lists it or it is about another image.

  WHOLE    "yes": everything of it is on disk, of every platform; "1 of 2": of one of its two platforms;
           "kept out": given to nobody, by exclude, include, or as its registry is no upstream any more
  SIZE     of all platforms whose manifests are here; "+": there are more
  CHECKED  with the upstream; "-": pushed here, nobody is asked
  PULLED   the last time by this tag, and how often in all; what was pulled seconds ago may be missing

  --sort BY      size: the largest first; last-pull: the longest not pulled first; pulls: the least pulled first

${COMMON_HELP}

Exit codes: 0 listed, 1 nothing matched

Examples
  entrepot ls
  entrepot ls '*alpine*'
  entrepot ls 'docker.io/library/*'
  entrepot ls '*/*/alpine:3.*'
  entrepot ls --sort last-pull 'localhost/**'
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot ls [PATTERN] [--sort size|last-pull|pulls]'
  const { sort, rest } = readSort(args, usage)
  const { server, json, positionals } = readCommon(rest, context, { least: 0, most: 1, usage })
  const query = { pattern: positionals[0], sort }
  const listed = await askAdmin<ListedImages>({ server, path: '/images', query })
  const [pattern] = positionals
  const hasMatched = listed.images.length > 0 || pattern === undefined
  if (json) writeJson(context, listed)
  else if (listed.images.length > 0) writeImages(context, listed, sort)
  else {
    const told = pattern === undefined ? 'no image is here yet' : `nothing here matches ${pattern}`
    context.stderr.write(`${told}\n`)
  }
  return hasMatched ? EXIT_CODES.ok : EXIT_CODES.failed
}

const ORDERS: readonly string[] = ['size', 'last-pull', 'pulls'] satisfies ListOrder[]

/** `rest`: what else there is. Without `--sort`, by name. */
function readSort(
  args: readonly string[],
  usage: string,
): { readonly sort: string | undefined; readonly rest: readonly string[] } {
  const at = args.findIndex(each => each === '--sort' || each.startsWith('--sort='))
  if (at === -1) return { sort: undefined, rest: args }
  const isApart = args[at] === '--sort'
  const sort = isApart ? args[at + 1] : args[at]?.slice('--sort='.length)
  if (!ORDERS.includes(sort ?? '')) throw new CliError(EXIT_CODES.usage, `usage: ${usage}`)
  return { sort, rest: args.toSpliced(at, isApart ? 2 : 1) }
}

function writeImages(context: CliContext, listed: ListedImages, sort = 'name'): void {
  writeTable(context, [
    ['IMAGE', 'DIGEST', 'WHOLE', 'SIZE', 'CHECKED', 'PULLED'],
    ...listed.images.map(each => [
      each.image,
      shortDigest(each.digest),
      ...describeSize(each),
      each.local ? '-' : describeSince(each.checkedAtMs, listed.nowMs),
      describePulls(each, listed.nowMs),
    ]),
  ])
  if (listed.truncated) context.stderr.write(`there are more, by ${sort}: give a pattern\n`)
}

function describePulls({ pulledAtMs, pulls }: ListedImage, nowMs: number): string {
  if (pulledAtMs === undefined) return 'never'
  return `${describeSince(pulledAtMs, nowMs)}, ${describeCount(pulls, 'time')}`
}

function describeSize({ size, keptOut }: ListedImage): readonly string[] {
  if (size === undefined) return [keptOut ? 'kept out' : 'no', '-']
  const { platforms, wholePlatforms, sizeBytes, hasMore } = size
  const part = platforms === 1 ? 'no' : `${wholePlatforms} of ${platforms}`
  return [
    keptOut ? 'kept out' : wholePlatforms === platforms ? 'yes' : part,
    `${describeBytes(sizeBytes)}${hasMore ? '+' : ''}`,
  ]
}
