// `inventory`: a signed list of what is here, for whoever exports to this edge, or checks it.
import { InventoryReader } from '../bundle/inventory-reader.ts'
import { BundleFault } from '../bundle/tar-pieces.ts'
import { bundleKeyId } from '../bundle/bundle-key.ts'
import { readAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, describeCount, writeJson } from './output.ts'
import { openOutput } from './output-file.ts'
import { lastOf, takeOwnOptions } from './own-options.ts'

export const help = `entrepot inventory [PATTERN…] [-o FILE|-] [--json]

A list of what is here, signed by this edge: tags with their digests, manifests with the repositories that have them, blobs with their
sizes. Without a PATTERN it is of everything; with some, of the images that they match as in "entrepot ls", and of what is about
those. It is text, a line for each; docs/bundle-format.md says what stands in it.

  -o, --output FILE  where it is written; - is standard output. Default -
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
  const pieces = readAdmin({ server, path: '/inventory', query: { pattern } })
  if (path === '-') {
    for await (const piece of checked(pieces, () => {})) context.stdout.write(piece)
    return EXIT_CODES.ok
  }
  let ended: Ended | undefined
  const output = await openOutput(path)
  try {
    for await (const piece of checked(pieces, end => (ended = end))) await output.append(piece)
  } catch (error) {
    await output.discard()
    throw error
  }
  await output.finish()
  return tell(path, ended as Ended | undefined, { json, context })
}

function tell(
  path: string,
  ended: Ended | undefined,
  { json, context }: { readonly json: boolean; readonly context: CliContext },
): ExitCode {
  if (ended === undefined) return EXIT_CODES.failed
  const { images, contents, bytes } = ended.end
  if (json) writeJson(context, { file: path, ...ended.end, key: ended.key })
  else
    context.stdout.write(
      `${path}: ${describeCount(images, 'image')}, ${contents} manifests and blobs, ${describeBytes(bytes)}; signed by ${bundleKeyId(ended.key)}\n`,
    )
  return EXIT_CODES.ok
}

type Ended = ReturnType<InventoryReader['finish']>

/** The same bytes. @throws CliError for what is cut, or not right */
async function* checked(
  pieces: AsyncIterable<Uint8Array>,
  done: (end: Ended) => void,
): AsyncGenerator<Uint8Array> {
  const reader = new InventoryReader()
  try {
    for await (const piece of pieces) {
      for (const _ of reader.push(piece));
      yield piece
    }
    done(reader.finish())
  } catch (error) {
    if (!(error instanceof BundleFault)) throw error
    throw new CliError(EXIT_CODES.failed, `nothing was written: ${error.message}`)
  }
}
