// What a row of the bench is, and what it gets to work with.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Absence, RowResult, Sample, Table } from './figures.ts'
import type { Load } from './load.ts'
import type { RunningServer } from './server-process.ts'
import { absenceOf, type ServerKind, type ServerOptions } from './servers.ts'
import type { Upstream } from './upstream.ts'

export interface RowContext {
  readonly rounds: number
  readonly upstream: Upstream
  readonly load: Load
  /** Of this row alone; removed after it. */
  readonly directory: string
  /** For whoever watches: what is measured now. */
  readonly tell: (text: string) => void
}

export interface Row {
  readonly id: string
  readonly title: string
  /** How it is measured, as Markdown sentences. */
  readonly method: string
  readonly tables: readonly Table[]
  run(context: RowContext): Promise<Pick<RowResult, 'samples' | 'absences'>>
}

export interface Started {
  readonly kind: ServerKind
  readonly server: RunningServer
}

export interface StartedServers {
  readonly running: readonly Started[]
  readonly absences: readonly Absence[]
  readonly stop: () => Promise<void>
}

/** Starts one server of each kind, each in a directory of its own; those that do not start are absences. */
export async function startServers(
  { directory, upstream }: RowContext,
  kinds: readonly ServerKind[],
  options: Partial<ServerOptions> = {},
): Promise<StartedServers> {
  const running: Started[] = []
  const absences: Absence[] = []
  for (const kind of kinds) {
    try {
      const own = directoryOf(directory, kind)
      const server = await kind.start({ upstreamUrl: upstream.url, ...options, directory: own })
      running.push({ kind, server })
    } catch (error) {
      absences.push(absenceOf(kind, error))
    }
  }
  const stop = async () => {
    await Promise.all(running.map(({ server }) => server.stop()))
    for (const { kind } of running)
      rmSync(directoryOf(directory, kind), { recursive: true, force: true })
  }
  return { running, absences, stop }
}

/** Short, because a socket may be made in it. */
export function directoryOf(directory: string, { name }: ServerKind): string {
  return join(directory, name.toLowerCase().replace(/[^a-z]/g, ''))
}

/** Samples as they come, so that a row need not carry lists around. */
export function collectSamples(): { samples: Sample[]; add: (sample: Sample) => void } {
  const samples: Sample[] = []
  return { samples, add: sample => void samples.push(sample) }
}
