// `ls`: the tags that are here.
import type { ListedImages } from '../registry/operator/list-images.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeSince, shortDigest, writeJson, writeTable } from './output.ts'

export const help = `entrepot ls [PATTERN] [--json]

The images that are here. PATTERN is a glob over repository:tag, with or without the registry.

${COMMON_HELP}

Examples
  entrepot ls
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
  if (json) {
    writeJson(context, listed)
    return EXIT_CODES.ok
  }
  writeTable(context, [
    ['IMAGE', 'DIGEST', 'SIZE', 'CHECKED'],
    ...listed.images.map(each => [
      each.image,
      shortDigest(each.digest),
      each.sizeBytes === undefined ? '-' : describeBytes(each.sizeBytes),
      describeSince(each.checkedAtMs, listed.nowMs),
    ]),
  ])
  if (listed.truncated) context.stderr.write('there are more: give a pattern\n')
  return EXIT_CODES.ok
}
