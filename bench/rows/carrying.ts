// Row: how fast images are written into a bundle and taken out of it, beside the tools that copy
// and hash a file.
import { execFile } from 'node:child_process'
import { rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { addHotImage } from '../hot-image.ts'
import { MEBIBYTE } from '../pushing.ts'
import { collectSamples, directoryOf, inRounds, type Row, type RowContext } from '../row.ts'
import { CHECKOUT, ENTREPOT, entrepot } from '../servers/entrepot.ts'

const LAYERS = 4
const LAYER_BYTES = 64 * MEBIBYTE
export const CARRIED = `${LAYERS} × ${LAYER_BYTES / MEBIBYTE} MiB`
const run = promisify(execFile)

export const carrying: Row = {
  id: 'carrying',
  goal: 'Carry',
  title: 'Export and import',
  rounds: { short: 1, full: 5 },
  method:
    'An image that is here is written into a file by `entrepot export`, and taken into an edge that has none of it by `entrepot import`, with all that ' +
    'each verifies and makes durable, and the start of each command. Beside that `cp` copies the same file, and `sha256sum` reads it. All of it is on ' +
    'the file system of `TMPDIR`. The rates are those of Entrepot over those of the tools: more is better.',
  tables: [
    {
      table: 'carrying',
      title: 'Export and import of an image',
      lineHeading: 'layers',
      columns: [
        { measure: 'exportSeconds', heading: 'export, s', digits: 2 },
        { measure: 'copySeconds', heading: '`cp`, s', digits: 2 },
        { measure: 'exportRate', heading: 'rate of export, × `cp`', digits: 2 },
        { measure: 'importSeconds', heading: 'import, s', digits: 2 },
        { measure: 'hashSeconds', heading: '`sha256sum`, s', digits: 2 },
        { measure: 'importRate', heading: 'rate of import, × `sha256sum`', digits: 2 },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const own = directoryOf(context.directory, entrepot)
    const [from, to] = [join(own, 'from'), join(own, 'to')]
    const options = { upstreamUrl: context.upstream.url }
    const servers = await Promise.all(
      [from, to].map(directory => entrepot.start({ ...options, directory })),
    )
    try {
      for (const { line, round } of inRounds(context, [{ line: CARRIED }])) {
        const measures = await measure(context, { own, from, to, round })
        add({ table: 'carrying', line, server: ENTREPOT, round, measures })
      }
    } finally {
      await Promise.all(servers.map(server => server.stop()))
      rmSync(own, { recursive: true, force: true })
    }
    return { samples, absences: [] }
  },
}

interface Sites {
  readonly own: string
  readonly from: string
  readonly to: string
  readonly round: number
}

async function measure(context: RowContext, { own, from, to, round }: Sites) {
  const repository = `bench/carried-${round}`
  const layerBytes = Array.from({ length: LAYERS }, () => LAYER_BYTES)
  await addHotImage(context, { repository, seed: repository, layerBytes })
  const [image, bundle, copy] = [
    `docker.io/${repository}:v1`,
    join(own, 'bundle'),
    join(own, 'copy'),
  ]
  await command(from, 'pull', image)
  const exportSeconds = await command(from, 'export', image, '-o', bundle)
  const copySeconds = await timed('cp', [bundle, copy])
  const importSeconds = await command(to, 'import', bundle)
  const hashSeconds = await timed('sha256sum', [bundle])
  if (statSync(bundle).size < LAYERS * LAYER_BYTES) throw new Error('the bundle is not whole')
  for (const file of [bundle, copy]) rmSync(file)
  return {
    exportSeconds,
    copySeconds,
    exportRate: copySeconds / exportSeconds,
    importSeconds,
    hashSeconds,
    importRate: hashSeconds / importSeconds,
  }
}

/** Of the edge in this directory. */
function command(directory: string, ...args: readonly string[]): Promise<number> {
  const config = join(directory, 'config.yaml')
  return timed(process.execPath, [join(CHECKOUT, 'dist', 'main.js'), ...args, '--config', config])
}

/** In seconds. @throws Error with what it wrote, where it fails */
async function timed(program: string, args: readonly string[]): Promise<number> {
  const startMs = performance.now()
  await run(program, [...args])
  return (performance.now() - startMs) / 1000
}
