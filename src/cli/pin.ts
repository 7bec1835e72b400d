// `pin`: what stays here under any pressure, and a list of it.
import type { ListedImages } from '../registry/operator/list-images.ts'
import type { ChangedPin, ListedPin } from '../registry/operator/pins.ts'
import { type AdminServer, askAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, type CommonOptions, readCommon } from './options.ts'
import { pullImages } from './pull.ts'
import { describeCount, writeJson, writeTable } from './output.ts'

export const help = `entrepot pin PATTERN… [--json]
entrepot pin --all-platforms PATTERN…
entrepot pin --list [--json]

What a pin matches stays here, however full the disk is. It fetches nothing, and holds no tag where the upstream
moves it: what the tag leads to then is pinned, and the old image is not any more; where the upstream takes the tag
away, nothing is pinned by it. To keep one image whatever becomes of its tags, pin its digest. Pins under "pins" in the
configuration hold as well; those of this command are kept in the catalog.

PATTERN is one of
  REPOSITORIES         a repository, or a pattern of them over host/name: all that is in them
  REPOSITORIES:TAGS    what their tags lead to, of all platforms, with signatures and other referrers
  REPOSITORIES@DIGEST  one manifest, with what it lists
  DIGEST               a manifest or a blob, wherever it is

  --all-platforms
                 fetches what is missing, too: all platforms of the tags here that it matches, and an image that is
                 named in full. Without it those that are here are pinned, and those that come later
  --list         what is pinned, by what, and how many tags (of a digest, repositories) it is about now
${COMMON_HELP}

Exit codes: 0 pinned, 1 the pattern is refused or not all could be fetched, 69 the server is not running

Examples
  entrepot pin docker.io/library/alpine:3.20
  entrepot pin --all-platforms docker.io/library/alpine:3.20
  entrepot pin 'ghcr.io/team/*:v*' 'localhost/base/**'
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const isList = args.includes('--list')
  const fetches = args.includes('--all-platforms')
  const own = args.filter(each => each !== '--list' && each !== '--all-platforms')
  const usage = 'entrepot pin PATTERN…|--list'
  if (fetches && isList) throw new CliError(EXIT_CODES.usage, `usage: ${usage}`)
  const count = isList ? { least: 0, most: 0 } : { least: 1, most: 1_000 }
  const common = readCommon(own, context, { ...count, usage, changes: !isList })
  if (isList) return list(common, context)
  if (fetches && common.json) {
    const message =
      '--all-platforms tells of what it fetches, which --json has no words for here: pin with --json, then "entrepot pull --all-platforms --json"'
    throw new CliError(EXIT_CODES.usage, message)
  }
  const done = await changePins('pin', common, context)
  return fetches ? fetchAll(done, common, context) : EXIT_CODES.ok
}

/** What they are about, with all platforms; what cannot be had is told, and stays pinned. */
async function fetchAll(
  pins: readonly ChangedPin[],
  { server }: CommonOptions,
  context: CliContext,
): Promise<ExitCode> {
  const names = new Set<string>()
  let isWhole = true
  for (const { pattern } of pins) {
    const found = await namesOf(server, pattern)
    for (const name of found) names.add(name)
    if (found.length > 0) continue
    isWhole = false
    context.stderr.write(`${pattern}: nothing here matches it that could be fetched\n`)
  }
  const pulled = await pullImages(
    [...names],
    { server, json: false, platforms: [], allPlatforms: true },
    context,
  )
  return isWhole ? pulled : EXIT_CODES.failed
}

/** Images that are here; where there are none, the one that the pattern names in full. */
async function namesOf(server: AdminServer, pattern: string): Promise<readonly string[]> {
  const isPattern = /[*?[\]{}()!+|]/.test(pattern)
  if (DIGEST.test(pattern)) return isPattern || !pattern.includes('@') ? [] : [pattern]
  const hasTag = pattern.lastIndexOf(':') > pattern.lastIndexOf('/')
  const query = { pattern: hasTag ? pattern : `${pattern}:*` }
  const { images } = await askAdmin<ListedImages>({ server, path: '/images', query })
  const fetched = images.filter(({ local, keptOut }) => !local && !keptOut)
  if (images.length > 0) return fetched.map(({ image }) => image)
  return isPattern || !hasTag ? [] : [pattern]
}

async function list({ server, json }: CommonOptions, context: CliContext): Promise<ExitCode> {
  const listed = await askAdmin<{ pins: readonly ListedPin[] }>({ server, path: '/pins' })
  if (json) writeJson(context, listed)
  else if (listed.pins.length === 0) context.stdout.write('nothing is pinned\n')
  else
    writeTable(context, [
      ['PIN', 'MATCHES', 'FROM'],
      ...listed.pins.map(({ pattern, matches, from }) => [pattern, String(matches), from]),
    ])
  return EXIT_CODES.ok
}

const DIGEST = /(?:^|@)sha(?:256|512):/

const CHANGED = {
  pin: { yes: 'is pinned', no: 'was pinned already' },
  unpin: { yes: 'is not pinned any more', no: 'was not pinned' },
} as const

/** One after the other; what was refused keeps none of the others away. */
export async function changePins(
  action: 'pin' | 'unpin',
  { server, json, positionals }: CommonOptions,
  context: CliContext,
): Promise<readonly ChangedPin[]> {
  const done: ChangedPin[] = []
  const failures: string[] = []
  for (const pattern of positionals) {
    const path = `/pins/${action}`
    try {
      done.push(await askAdmin<ChangedPin>({ server, method: 'POST', path, query: { pattern } }))
    } catch (error) {
      if (!(error instanceof CliError) || error.exitCode !== EXIT_CODES.failed) throw error
      const { message } = error
      failures.push(message.includes(pattern) ? message : `${pattern}: ${message}`)
    }
  }
  if (json) writeJson(context, { pins: done })
  else
    for (const pin of done)
      context.stdout.write(
        `${pin.pattern} ${CHANGED[action][pin.changed ? 'yes' : 'no']}; ${ABOUT[action](pin)}\n`,
      )
  if (failures.length === 0) return done
  throw new CliError(EXIT_CODES.failed, failures.join('\n'))
}

const ABOUT = { pin: about, unpin: wasAbout } as const

function about(pin: ChangedPin): string {
  const { matches, unknown } = pin
  if (unknown !== undefined) return `nothing here matches it, and ${unknown} is no upstream here`
  if (matches === 0) return 'nothing here matches it so far'
  return `it is about ${countOf(pin)} now`
}

function wasAbout(pin: ChangedPin): string {
  return pin.matches === 0 ? 'nothing here matches it' : `it was about ${countOf(pin)}`
}

function countOf({ pattern, matches }: ChangedPin): string {
  return describeCount(matches, DIGEST.test(pattern) ? 'repository' : 'tag')
}
