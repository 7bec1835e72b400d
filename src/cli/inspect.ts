// `inspect`: one image as it is here.
import type { InspectedImage, InspectedManifest } from '../registry/operator/inspect-image.ts'
import { askAdmin } from './admin-client.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { COMMON_HELP, readCommon } from './options.ts'
import { describeBytes, shortDigest, writeJson, writeTable } from './output.ts'

export const help = `entrepot inspect IMAGE [--json]

One image as it is here: platforms, blobs, sizes, what is cached, and what refers to it. Asks no upstream.

${COMMON_HELP}

Examples
  entrepot inspect docker.io/library/alpine:3.20
  entrepot inspect quay.io/team/app@sha256:…
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const usage = 'entrepot inspect IMAGE'
  const { server, json, positionals } = readCommon(args, context, { least: 1, most: 1, usage })
  const image = await askAdmin<InspectedImage>({
    server,
    path: '/image',
    query: { name: positionals[0] },
  })
  if (json) writeJson(context, image)
  else writeText(context, image)
  return EXIT_CODES.ok
}

function writeText(context: CliContext, image: InspectedImage): void {
  writeTable(context, [
    ['image', image.image],
    ['digest', image.digest],
    ['type', image.mediaType],
    ['cached', `${describeBytes(image.cachedBytes)} of ${describeBytes(image.sizeBytes)}`],
    ...image.referrers.map(referrer => ['referrer', referrer]),
  ])
  for (const manifest of image.manifests) writeManifest(context, manifest)
}

function writeManifest(context: CliContext, manifest: InspectedManifest): void {
  const state = manifest.cached ? '' : ' (not here)'
  context.stdout.write(`\n${manifest.platform ?? manifest.mediaType}  ${manifest.digest}${state}\n`)
  if (manifest.blobs.length === 0) return
  writeTable(
    context,
    manifest.blobs.map(blob => [
      `  ${shortDigest(blob.digest)}`,
      describeBytes(blob.sizeBytes),
      blob.cached ? 'cached' : 'missing',
      blob.mediaType,
    ]),
  )
}
