// Row: a real client pulls a cold image of ten blobs. skopeo takes them one after another into a directory.
import { execFile } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { collectSamples, type Row, type RowContext, startServers } from '../row.ts'
import { DIRECT, REGISTRIES } from '../servers.ts'

const BLOBS = 10
const BLOB_BYTES = 9_800_000
const LIMIT_BYTES_PER_SECOND = 10_000_000
const REPOSITORY = 'bench/image'
const CASES = [
  { line: 'not limited', limit: undefined },
  { line: '10 MB/s', limit: LIMIT_BYTES_PER_SECOND },
] as const

export const skopeo: Row = {
  id: 'skopeo',
  title: 'A real client: an image of 98 MB in 10 blobs, cold, by skopeo',
  method:
    '`skopeo copy docker://… dir:…`, a fresh image for every pull; the upstream not limited, or limited to 10 MB/s on each connection.',
  tables: [
    {
      table: 'skopeo',
      title: 'Whole pull by skopeo',
      lineHeading: 'upstream',
      columns: [
        { measure: 'seconds', heading: 'whole pull, s', digits: 2 },
        { measure: 'fasterThanDirect', heading: 'faster than direct, ×', digits: 2 },
        { measure: 'blobGets', heading: 'blob GETs upstream' },
        { measure: 'failures', heading: 'failed pulls' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    if (!existsSync('/usr/bin/skopeo')) {
      return { samples, absences: [{ server: 'all', why: 'skopeo is not installed' }] }
    }
    const { running, absences, stop } = await startServers(context, REGISTRIES)
    const sources = [
      { name: DIRECT, url: context.upstream.url },
      ...running.map(({ kind, server }) => ({ name: kind.name, url: server.url })),
    ]
    try {
      for (let round = 1; round <= context.rounds; round += 1) {
        for (const { line, limit } of CASES) {
          context.tell(`${line}, round ${round}`)
          let direct = Number.NaN
          for (const { name, url } of sources) {
            const pulled = await pull(context, url, { seed: `${line}/${round}/${name}`, limit })
            if (name === DIRECT) direct = pulled.seconds
            const measures = { ...pulled, fasterThanDirect: direct / pulled.seconds }
            add({ table: 'skopeo', line, server: name, round, measures })
          }
        }
      }
    } finally {
      await stop()
    }
    return { samples, absences }
  },
}

async function pull(
  { upstream, directory }: RowContext,
  url: string,
  { seed, limit }: { seed: string; limit: number | undefined },
) {
  const tag = seed.replace(/[^A-Za-z0-9]/g, '-')
  const layerBytes = Array.from({ length: BLOBS }, () => BLOB_BYTES)
  const { layers } = await upstream.addImage({ repository: REPOSITORY, tag, seed, layerBytes })
  await upstream.clearFaults()
  if (limit !== undefined) {
    await upstream.fault({ kind: 'blob', method: 'GET' }, { bytesPerSecond: limit })
  }
  await upstream.clearCounts()
  const output = join(directory, 'image')
  const source = `docker://${new URL(url).host}/${REPOSITORY}:${tag}`
  const args = ['--insecure-policy', 'copy', '--quiet', '--src-tls-verify=false']
  const startMs = performance.now()
  const failures = await promisify(execFile)(
    '/usr/bin/skopeo',
    [...args, source, `dir:${output}`],
    {
      env: { PATH: process.env['PATH'], HOME: directory },
    },
  ).then(
    () => 0,
    () => 1,
  )
  const seconds = (performance.now() - startMs) / 1000
  const { requests } = await upstream.count({ kind: 'blob', method: 'GET' })
  await upstream.forget(REPOSITORY, layers)
  rmSync(output, { recursive: true, force: true })
  return { seconds, blobGets: requests, failures }
}
