// `ls`: the tags that are here.
import type { ListedImage, ListedImages } from '../registry/operator/list-images.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeSince, shortDigest, writeJson, writeTable } from './output.ts'

export const help = `entrepot ls [PATTERN] [--json]

The images that are here, which of them are whole, and how large they are with all their platforms. PATTERN is a glob over
repository:tag, with or without the registry; without a slash it is looked for in every part of the name.

  WHOLE    "yes": everything of it is on disk, of every platform; "1 of 2": of one of its two platforms;
           "kept out": given to nobody, by exclude, include, or as its registry is no upstream any more
  SIZE     of all platforms whose manifests are here; "+": there are more
  CHECKED  with the upstream; "-": pushed here, nobody is asked

${COMMON_HELP}

Exit codes: 0 listed, 1 nothing matched

Examples
  entrepot ls
  entrepot ls '*alpine*'
  entrepot ls 'docker.io/library/*'
  entrepot ls '*/*/alpine:3.*'
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot ls [PATTERN]'
  const { socket, json, positionals } = readCommon(args, context, { least: 0, most: 1, usage })
  const listed = await askAdmin<ListedImages>({
    socket,
    path: '/images',
    query: { pattern: positionals[0] },
  })
  const [pattern] = positionals
  const hasMatched = listed.images.length > 0 || pattern === undefined
  if (json) writeJson(context, listed)
  else if (listed.images.length > 0) writeImages(context, listed)
  else {
    const told = pattern === undefined ? 'no image is here yet' : `nothing here matches ${pattern}`
    context.stderr.write(`${told}\n`)
  }
  return hasMatched ? EXIT_CODES.ok : EXIT_CODES.failed
}

function writeImages(context: CliContext, listed: ListedImages): void {
  writeTable(context, [
    ['IMAGE', 'DIGEST', 'WHOLE', 'SIZE', 'CHECKED'],
    ...listed.images.map(each => [
      each.image,
      shortDigest(each.digest),
      ...describeSize(each),
      each.local ? '-' : describeSince(each.checkedAtMs, listed.nowMs),
    ]),
  ])
  if (listed.truncated) context.stderr.write('there are more: give a pattern\n')
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
