// `why`: where an image's answer comes from and what a pull would do now.
import type { Explanation } from '../registry/operator/why-image.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeCount, describeSince, writeJson, writeTable } from './output.ts'

export const help = `entrepot why IMAGE [--json]

Where the image's answer comes from, when that was checked, and what a pull would do at this moment; what holds it here,
or how many images leave before it when there is no room; what storage.retention says of it. Asks no upstream.

${COMMON_HELP}

Examples
  entrepot why docker.io/library/alpine:3.20
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot why IMAGE'
  const { server, json, positionals } = readCommon(args, context, { least: 1, most: 1, usage })
  const why = await askAdmin<Explanation>({ server, path: '/why', query: { name: positionals[0] } })
  if (json) writeJson(context, why)
  else writeText(context, why)
  return EXIT_CODES.ok
}

function writeText(context: CliContext, why: Explanation): void {
  const ago = (atMs: number | undefined) => describeSince(atMs ?? 0, why.nowMs)
  writeTable(context, [
    ['image', why.image],
    [
      'upstream',
      why.upstream === undefined
        ? 'none: kept here'
        : `${why.upstream}${why.offline ? ' (offline)' : ''}`,
    ],
    ['digest', why.digest ?? 'not known here'],
    [
      'checked',
      `${why.upstream === undefined ? '-' : ago(why.checkedAtMs)}${why.freshness === undefined ? '' : ` (${why.freshness})`}`,
    ],
    ['moved', ago(why.changedAtMs)],
    [
      'pulled',
      // A push is a use as well, and no pull.
      why.pulls === 0
        ? 'never'
        : `${ago(why.lastUsedAtMs)}, ${describeCount(why.pulls, 'time')} in all`,
    ],
    ...why.now.map((sentence, index) => [index === 0 ? 'now' : '', sentence]),
  ])
}
