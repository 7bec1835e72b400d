// `key`: by which others know that what comes over an air gap is this edge's.
import { type BundleKeyText, bundleKeyFrom, bundleKeyPem } from '../bundle/bundle-key.ts'
import type { ShownKey } from '../registry/carry/carry.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { takeOwnOptions } from './own-options.ts'
import { writeJson } from './output.ts'

export const help = `entrepot key show [--pem] [--json]

The public key by which this edge signs bundles and inventories, and the key's id, for people to compare. The key is made when it is
first asked for, and lies in bundle-key.json of the data directory. Whoever is to trust what this edge sends is given this key on
another way than the bundle.

  --pem          in PEM, as openssl reads it
${COMMON_HELP}

Exit codes: 0 shown, 1 the key cannot be had, with the reason, 69 the server is not running

Examples
  entrepot key show
  entrepot key show --pem > edge.pem
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot key show'
  const own = takeOwnOptions(args, { pem: { type: 'boolean' } })
  const { server, json, positionals } = readCommon(own.rest, context, { least: 1, most: 1, usage })
  if (positionals[0] !== 'show') throw new CliError(EXIT_CODES.usage, `usage: ${usage}`)
  const shown = await askAdmin<ShownKey>({ server, path: '/key' })
  if (json) writeJson(context, shown)
  else if (own.has('pem')) context.stdout.write(bundleKeyPem(keyOf(shown)))
  else context.stdout.write(`key  ${shown.key}\nid   ${shown.id}\n`)
  return EXIT_CODES.ok
}

function keyOf({ key }: ShownKey): BundleKeyText {
  const read = bundleKeyFrom(key)
  if (read !== undefined) return read
  throw new CliError(EXIT_CODES.failed, 'the server shows a key that this command does not know')
}
