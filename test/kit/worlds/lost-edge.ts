// An edge that was pushed to, and whose catalog is lost with the bytes of one manifest: what a
// start finds then. For all that is about what is lost.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestEdge, type TestEdge, type TestEdgeOptions } from '../edge.ts'
import { NO_UPSTREAM } from './edge-push.ts'
import { type Image, makeImage } from '../image.ts'
import { createPushClient } from '../clients/push-client.ts'
import { blobPath } from '../disk/store-directory.ts'

interface Teardown {
  teardown(fn: () => unknown): unknown
}

/** Its manifest is what is lost. */
export const LOST = makeImage({ seed: 'lost', layers: [10] })

export const partsOf = ({ config, layers }: Image) => [config, ...layers]

export async function pushTo(
  edge: TestEdge,
  name: string,
  { image, tags }: { readonly image: Image; readonly tags: readonly string[] },
): Promise<void> {
  const client = createPushClient(edge.url)
  const must = ({ status, body }: { status: number; body: string }) => {
    if (status !== 201) throw new Error(`${status}: ${body}`)
  }
  try {
    for (const part of partsOf(image)) must(await client.blob(name, Buffer.from(part.bytes())))
    for (const tag of tags) must(await client.manifest(name, tag, image.manifest))
  } finally {
    client.close()
  }
}

export interface LostEdge {
  readonly dataDirectory: string
  /** On what is left, or what another start before made of it. */
  start(): Promise<TestEdge>
  /** Its bytes are back; while no edge runs, or one that looks again. */
  find(): Promise<void>
  /** While no edge runs. */
  loseCatalog(): void
  isHere(digest: string): boolean
}

/** `before` pushes LOST, and what else there is to be. */
export async function loseManifest(
  t: Teardown,
  before: (edge: TestEdge) => Promise<void>,
  options: Partial<TestEdgeOptions> = {},
): Promise<LostEdge> {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-lost-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const start = () => startTestEdge(t, { upstreams: NO_UPSTREAM, ...options, directory })
  const edge = await start()
  const { dataDirectory } = edge
  await before(edge)
  // What is being delivered waits for its upstream.
  await edge.settle(edge.stop())
  const file = blobPath(dataDirectory, LOST.manifest.digest)
  const bytes = await readFile(file)
  rmSync(file)
  const loseCatalog = () => {
    for (const name of readdirSync(dataDirectory))
      if (name.startsWith('catalog.db')) rmSync(join(dataDirectory, name))
  }
  loseCatalog()
  return {
    dataDirectory,
    start,
    find: async () => {
      await writeFile(file, bytes)
      await chmod(file, 0o440)
    },
    loseCatalog,
    isHere: digest => existsSync(blobPath(dataDirectory, digest)),
  }
}
