// `pull`: warms the cache through the running server.
import type { FailedEvent } from '../admin/requests.ts'
import type { WarmEvent } from '../registry/operator/warm-image.ts'
import { commandClock } from '../server/clock.ts'
import { followAdmin } from './admin-client.ts'
import { type CliContext, CliError, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, type CommonOptions, readCommon } from './options.ts'
import { describeBytes, describeCount, shortDigest, writeFailure } from './output.ts'
import { takeOwnOptions } from './own-options.ts'
import { DEFAULT_PLATFORM, platformsFrom } from './platforms.ts'
import { createProgressBar } from './progress-bar.ts'

export const help = `entrepot pull IMAGE… [--platform OS/ARCH[/VARIANT]]… [--all-platforms] [--json]

Brings images into the cache, as a client's pull would.

  --platform P     of an index, only this platform; may be given more than once; default ${DEFAULT_PLATFORM}
  --all-platforms  of an index, every platform
${COMMON_HELP}

Examples
  entrepot pull docker.io/library/alpine:3.20
  entrepot pull --all-platforms quay.io/team/app:v1 quay.io/team/web:v1
`

type PullEvent = WarmEvent | FailedEvent

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const { own, rest } = splitOptions(args)
  const usage = 'entrepot pull IMAGE…'
  const { server, json, positionals } = readCommon(rest, context, {
    least: 1,
    most: 1_000,
    usage,
    changes: true,
  })
  return pullImages(positionals, { server, json, ...own }, context)
}

/** One after the other, telling of each; one that cannot be had keeps none of the others away. */
export async function pullImages(
  names: readonly string[],
  { server, json, ...own }: PullOptions & Pick<CommonOptions, 'server' | 'json'>,
  context: CliContext,
): Promise<ExitCode> {
  const show = json ? showJson : context.isTerminal ? createShowBar(context) : showLine
  let failed = false
  for (const name of names) {
    const query = { name, platform: own.allPlatforms ? [] : own.platforms }
    const events = followAdmin<PullEvent>({ server, method: 'POST', path: '/pull', query })
    try {
      for await (const event of events) {
        show(context, event)
        failed ||= event.kind === 'failed'
      }
    } catch (error) {
      // One image that cannot be had does not keep the others away; a server that is not there
      // does.
      if (!(error instanceof CliError) || error.exitCode !== EXIT_CODES.failed) throw error
      const message = `${name}: ${error.message}`
      if (json) writeFailure(context, { exitCode: error.exitCode, message })
      else context.stderr.write(`${message}\n`)
      failed = true
    }
  }
  return failed ? EXIT_CODES.failed : EXIT_CODES.ok
}

interface PullOptions {
  readonly platforms: readonly string[]
  readonly allPlatforms: boolean
}

/** @throws CliError usage for what is no platform */
function splitOptions(args: readonly string[]): { own: PullOptions; rest: readonly string[] } {
  const own = takeOwnOptions(args, {
    platform: { type: 'string' },
    'all-platforms': { type: 'boolean' },
  })
  const platforms = platformsFrom(own.values.platform)
  return { own: { platforms, allPlatforms: own.has('all-platforms') }, rest: own.rest }
}

function showJson(context: CliContext, event: PullEvent): void {
  context.stdout.write(`${JSON.stringify(event)}\n`)
}

/** A bar for each blob, drawn over itself; everything else is a line. */
function createShowBar(context: CliContext): typeof showLine {
  const draw = createProgressBar(context, () => commandClock.monotonicMs())
  return (_, event) => {
    if (event.kind !== 'blob') return showLine(context, event)
    const { digest, doneBytes, sizeBytes: totalBytes } = event
    draw({ label: shortDigest(digest), doneBytes, totalBytes })
  }
}

function showLine(context: CliContext, event: PullEvent): void {
  switch (event.kind) {
    case 'manifest':
      context.stdout.write(`${event.image}  ${event.digest}  ${event.source}\n`)
      return
    case 'blob':
      if (event.doneBytes !== event.sizeBytes) return
      context.stdout.write(
        `${shortDigest(event.digest)}  ${describeBytes(event.sizeBytes)}  ${event.source}\n`,
      )
      return
    case 'done':
      context.stdout.write(
        `${event.image} is here: ${describeCount(event.blobs, 'blob')}, ${describeBytes(event.bytes)}\n`,
      )
      return
    case 'failed':
      context.stderr.write(`failed: ${event.message}\n`)
      return
  }
}
