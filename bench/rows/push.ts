// Row: pushes of one large blob and of many small ones, and what each server makes durable before
// it says 201.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { watchCpu } from '../processes.ts'
import { type Blobs, MEBIBYTE, openPushFile, type PushFile } from '../pushing.ts'
import {
  collectSamples,
  inRounds,
  type Row,
  type RowContext,
  type Started,
  startServers,
} from '../row.ts'
import { PUSHABLE } from '../servers.ts'

interface Case extends Blobs {
  readonly line: string
  /** Of the large blob, in MiB. */
  readonly size?: number
}

const large = (size: number): Case => {
  const name = size >= 1024 ? `${size / 1024} GiB` : `${size} MiB`
  return { line: `1 × ${name}`, sizeBytes: size * MEBIBYTE, blobs: 1, atOnce: 1, size }
}

const LARGE = large(1024)
const SMALL: Case = {
  line: '200 × 1 MiB, 8 at once',
  sizeBytes: MEBIBYTE,
  blobs: 200,
  atOnce: 8,
}
export const PUSHES = [LARGE.line, SMALL.line]
const CASES = [large(64), large(256), LARGE, SMALL]
/** Under strace every call is slow, so this case is not timed. */
const TRACED = { sizeBytes: MEBIBYTE, blobs: 20, atOnce: 1 } as const
const REPOSITORY = 'localhost/bench/push'

export const push: Row = {
  id: 'push',
  goal: 'P8',
  title: 'Pushes: one large blob, and many small ones',
  rounds: { short: 2, full: 5 },
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
        { measure: 'boxSeconds', heading: 'whole box, s', digits: 2 },
        { measure: 'failures', heading: 'failures' },
      ],
      growth: [
        { measure: 'seconds', what: 'time with the size of one blob' },
        { measure: 'cpuSeconds', what: 'CPU with the size of one blob' },
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
    await using servers = await startServers(context, PUSHABLE)
    using file = openPushFile(context.directory)
    for (const started of servers.running) {
      file.write(`warm/${started.kind.name}`, TRACED)
      await pushTo(started, file, TRACED)
      const syncsPerBlob = await countSyncs(context, started, file)
      const line = `${TRACED.blobs} × 1 MiB`
      const { name } = started.kind
      add({ table: 'durable', line, server: name, round: 1, measures: { syncsPerBlob } })
    }
    for (const { line, size, round, ...blobs } of inRounds(context, CASES)) {
      file.write(`${line}/${round}`, blobs)
      const place = { table: 'push', line, round, ...(size === undefined ? {} : { size }) }
      for (const started of servers.running) {
        const measures = await pushTo(started, file, blobs)
        add({ ...place, server: started.kind.name, measures })
      }
    }
    return { samples, absences: servers.absences }
  },
}

async function pushTo({ server }: Started, file: PushFile, blobs: Blobs) {
  const cpu = watchCpu(server.pid)
  const { seconds, failures } = await file.push(server.url, REPOSITORY, blobs)
  return { seconds, ...cpu(), failures: failures.length }
}

async function countSyncs(context: RowContext, started: Started, file: PushFile): Promise<number> {
  const log = join(context.directory, 'strace')
  const calls = 'trace=fsync,fdatasync,sync_file_range,syncfs'
  const pid = String(started.server.pid)
  const tracer = spawn('strace', ['-f', '-e', calls, '-o', log, '-p', pid], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  await once(tracer.stderr, 'data')
  file.write(`traced/${started.kind.name}`, TRACED)
  await pushTo(started, file, TRACED)
  tracer.kill('SIGINT')
  await once(tracer, 'exit')
  const entered = readFileSync(log, 'utf8').match(/^\d+ +(?:fsync|fdatasync|sync\w+)\(/gm) ?? []
  rmSync(log)
  return entered.length / TRACED.blobs
}
