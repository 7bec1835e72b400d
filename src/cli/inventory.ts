// `inventory`: a signed list of what is here, for whoever exports to this edge, or checks it.
import { bundleKeyId } from '../bundle/bundle-key.ts'
import { readAdmin } from './admin-client.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeCount, writeJson } from './output.ts'
import { type CheckedEnd, checkedInventory } from './inventories.ts'
import { saveInventory } from './receipt.ts'
import { lastOf, takeOwnOptions } from './own-options.ts'

export const help = `entrepot inventory [PATTERN…] [-o FILE|-] [--json]

A list of what is here, signed by this edge: tags with their digests, manifests with the repositories that have them, blobs with their
sizes. Without a PATTERN it is of everything; with some, of the images that they match as in "entrepot ls", and of what is about
those. It is text, a line for each; docs/bundle-format.md says what stands in it.

  -o, --output FILE  where it is written, for its owner alone (0600); - is standard output. Default -
${COMMON_HELP}

Exit codes: 0 written, 1 not written, with the reason, 69 the server is not running

Examples
  entrepot inventory -o here.inventory
  entrepot inventory 'docker.io/library/*' -o library.inventory
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot inventory [PATTERN…] [-o FILE|-]'
  const own = takeOwnOptions(args, { output: { type: 'string', short: 'o' } })
  const common = readCommon(own.rest, context, { least: 0, most: 1_000, usage })
  const { server, json, positionals: pattern } = common
  const path = lastOf(own.values.output) ?? '-'
  if (path === '-') {
    const pieces = readAdmin({ server, path: '/inventory', query: { pattern } })
    for await (const piece of checkedInventory(pieces, () => {})) context.stdout.write(piece)
    return EXIT_CODES.ok
  }
  const ended = await saveInventory(server, path, pattern)
  return tell(path, ended, { json, context })
}

function tell(
  path: string,
  ended: CheckedEnd,
  { json, context }: { readonly json: boolean; readonly context: CliContext },
): ExitCode {
  const { images, contents, bytes } = ended.end
  if (json) writeJson(context, { file: path, ...ended.end, key: ended.key })
  else
    context.stdout.write(
      `${path}: ${describeCount(images, 'image')}, ${contents} manifests and blobs, ${describeBytes(bytes)}; signed by ${bundleKeyId(ended.key)}\n`,
    )
  return EXIT_CODES.ok
}
