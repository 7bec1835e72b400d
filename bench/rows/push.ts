// Row: pushes of one large blob and of many small ones, and what each server makes durable before it says 201.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { patternBlob } from '../../test/kit/content.ts'
import { cpuSeconds } from '../processes.ts'
import type { PushResult } from '../push-process.ts'
import { collectSamples, type Row, type RowContext, type Started, startServers } from '../row.ts'
import { PUSHABLE } from '../servers.ts'

const MEBIBYTE = 1024 * 1024
const CASES = [
  { line: '1 × 1 GiB', sizeBytes: 1024 * MEBIBYTE, blobs: 1, atOnce: 1 },
  { line: '200 × 1 MiB, 8 at once', sizeBytes: MEBIBYTE, blobs: 200, atOnce: 8 },
] as const
/** Under strace every call is slow, so this case is not timed. */
const TRACED = { sizeBytes: MEBIBYTE, blobs: 20, atOnce: 1 } as const
const CHUNK_BYTES = 16 * MEBIBYTE
const REPOSITORY = 'localhost/bench/push'
const PROCESS = fileURLToPath(new URL('../push-process.ts', import.meta.url))

export const push: Row = {
  id: 'push',
  title: 'Pushes: one large blob, and many small ones',
  method:
    'One client process sends blobs that no server has seen, each by POST and one PUT, from a file in memory; every server has its ' +
    'data directory on the same file system, and they take turns. CPU is that of the server alone. "Syncs per blob" are ' +
    'calls of fsync, fdatasync and sync_file_range that `strace` counts while 20 blobs of 1 MiB are pushed one after the other; a ' +
    'server without them has said 201 for bytes that a power cut takes away.',
  tables: [
    {
      table: 'push',
      title: 'Pushes',
      lineHeading: 'blobs',
      columns: [
        { measure: 'seconds', heading: 'all acknowledged, s', digits: 2 },
        { measure: 'cpuSeconds', heading: 'CPU, s', digits: 2 },
        { measure: 'failures', heading: 'failures' },
      ],
    },
    {
      table: 'durable',
      title: 'What is durable when it is acknowledged',
      lineHeading: 'blobs',
      columns: [{ measure: 'syncsPerBlob', heading: 'syncs per blob', digits: 1 }],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const { running, absences, stop } = await startServers(context, PUSHABLE)
    try {
      for (const started of running) {
        await pushTo(started, writeBlobs(context, `warm/${started.kind.name}`, TRACED), TRACED)
        const syncsPerBlob = await countSyncs(context, started)
        const line = `${TRACED.blobs} × 1 MiB`
        const { name } = started.kind
        add({ table: 'durable', line, server: name, round: 1, measures: { syncsPerBlob } })
      }
      for (let round = 1; round <= context.rounds; round += 1) {
        for (const each of CASES) {
          context.tell(`${each.line}, round ${round}`)
          const file = writeBlobs(context, `${each.line}/${round}`, each)
          for (const started of running) {
            const { name } = started.kind
            const measures = await pushTo(started, file, each)
            add({ table: 'push', line: each.line, server: name, round, measures })
          }
          rmSync(file)
        }
      }
    } finally {
      rmSync(blobsFile(context), { force: true })
      await stop()
    }
    return { samples, absences }
  },
}

interface Blobs {
  readonly sizeBytes: number
  readonly blobs: number
  readonly atOnce: number
}

function blobsFile({ directory }: RowContext): string {
  return join('/dev/shm', `${directory.replaceAll('/', '-').slice(1)}-push`)
}

/** Into memory, so that no server is measured by the disk that the client reads from. */
function writeBlobs(context: RowContext, seed: string, { sizeBytes, blobs }: Blobs): string {
  const file = blobsFile(context)
  const total = sizeBytes * blobs
  const content = patternBlob(`push/${seed}`, CHUNK_BYTES)
  const chunk = content.bytes()
  const descriptor = openSync(file, 'w')
  for (let at = 0; at < total; at += chunk.length) {
    // Different in every mebibyte, which is the smallest blob.
    for (let mark = 0; mark < chunk.length; mark += MEBIBYTE) chunk.writeDoubleBE(at + mark, mark)
    writeSync(descriptor, chunk, 0, Math.min(chunk.length, total - at))
  }
  closeSync(descriptor)
  return file
}

async function pushTo({ server }: Started, file: string, { sizeBytes, atOnce }: Blobs) {
  const before = cpuSeconds(server.pid)
  const args = [PROCESS, server.url, REPOSITORY, file, String(sizeBytes), String(atOnce)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  for await (const part of child.stdout.setEncoding('utf8')) text += String(part)
  const { seconds, failures } = JSON.parse(text) as PushResult
  return { seconds, cpuSeconds: cpuSeconds(server.pid) - before, failures: failures.length }
}

async function countSyncs(context: RowContext, started: Started): Promise<number> {
  const log = join(context.directory, 'strace')
  const calls = 'trace=fsync,fdatasync,sync_file_range,syncfs'
  const pid = String(started.server.pid)
  const tracer = spawn('strace', ['-f', '-e', calls, '-o', log, '-p', pid], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await once(tracer.stderr, 'data')
  const file = writeBlobs(context, `traced/${started.kind.name}`, TRACED)
  await pushTo(started, file, TRACED)
  rmSync(file)
  tracer.kill('SIGINT')
  await once(tracer, 'exit')
  const entered = readFileSync(log, 'utf8').match(/^\d+ +(?:fsync|fdatasync|sync\w+)\(/gm) ?? []
  rmSync(log)
  return entered.length / TRACED.blobs
}
