// What a row of the bench is, and what it gets to work with.
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Absence, RowResult, Sample, Table } from './figures.ts'
import type { Load } from './load.ts'
import type { RunningServer } from './server-process.ts'
import { ENTREPOT, entrepotBeside } from './servers/entrepot.ts'
import type { ServerKind, ServerOptions } from './servers/kind.ts'
import { absenceOf } from './servers.ts'
import type { Upstream } from './upstream.ts'

export interface RowContext {
  readonly rounds: number
  /** With everything that takes long: more clients, more blobs, longer loads. */
  readonly full: boolean
  readonly upstream: Upstream
  readonly load: Load
  /** Of this row alone; removed after it. Short, because sockets are made in it. */
  readonly directory: string
  /** For whoever watches: what is measured now. */
  readonly tell: (text: string) => void
  /** A built checkout of another version, measured right after this one. */
  readonly beside: string | undefined
  /** Names of the servers that are measured; undefined: all. */
  readonly only: readonly string[] | undefined
}

export interface Row {
  readonly id: string
  /** The goal that it measures: `P1` … `P13`, or what else it is for. */
  readonly goal: string
  readonly title: string
  /** How it is measured, as Markdown sentences. */
  readonly method: string
  readonly tables: readonly Table[]
  /** How often, in the short and in the full form; 0: the short form leaves it out. */
  readonly rounds: { readonly short: number; readonly full: number }
  run(context: RowContext): Promise<Seen>
}

/** What a row has seen, or a part of it. */
export type Seen = Pick<RowResult, 'samples' | 'absences'>

/** Of parts that were measured one after another. What is absent from several is told of once. */
export function joinSeen(parts: readonly Seen[]): Seen {
  const all = parts.flatMap(({ absences }) => absences)
  const absences = new Map(all.map(absence => [`${absence.server}/${absence.line}`, absence]))
  return { samples: parts.flatMap(({ samples }) => samples), absences: [...absences.values()] }
}

/**
 * Every case in each round, one after another: who walks through them measures server after server
 * in each, so that what is compared was measured side by side.
 */
export function* inRounds<Case extends { readonly line: string }>(
  { rounds, tell }: Pick<RowContext, 'rounds' | 'tell'>,
  cases: readonly Case[],
): Generator<Case & { readonly round: number }> {
  for (let round = 1; round <= rounds; round += 1) {
    for (const each of cases) {
      tell(`${each.line}, round ${round}`)
      yield { ...each, round }
    }
  }
}

export interface Started {
  readonly kind: ServerKind
  readonly server: RunningServer
}

/** They are stopped and what they stored is removed where the block ends: `await using`. */
export interface StartedServers extends AsyncDisposable {
  readonly running: readonly Started[]
  readonly absences: readonly Absence[]
}

/**
 * Starts one server of each kind, each in a directory of its own below `directory`; those that do
 * not start are absences, but Entrepot: without it there is nothing to measure.
 * @throws Error when that does not start
 */
export async function startServers(
  {
    directory,
    upstream,
    ...chosen
  }: Pick<RowContext, 'directory' | 'upstream' | 'beside' | 'only'>,
  kinds: readonly ServerKind[],
  options: Partial<ServerOptions> = {},
): Promise<StartedServers> {
  const running: Started[] = []
  const absences: Absence[] = []
  const stop = async () => {
    await Promise.all(running.map(({ server }) => server.stop()))
    for (const { kind } of running)
      rmSync(directoryOf(directory, kind), { recursive: true, force: true })
  }
  for (const kind of choose(kinds, chosen)) {
    try {
      const own = directoryOf(directory, kind)
      const server = await kind.start({ upstreamUrl: upstream.url, ...options, directory: own })
      running.push({ kind, server })
    } catch (error) {
      const absence = absenceOf(kind, error)
      absences.push(absence)
      if (kind.name !== ENTREPOT) continue
      await stop()
      throw new Error(`${ENTREPOT} does not start: ${absence.why}`)
    }
  }
  return { running, absences, [Symbol.asyncDispose]: stop }
}

function choose(
  kinds: readonly ServerKind[],
  { beside, only }: Pick<RowContext, 'beside' | 'only'>,
): readonly ServerKind[] {
  return kinds
    .filter(({ name }) => name === ENTREPOT || only === undefined || only.includes(name))
    .flatMap(kind =>
      kind.name === ENTREPOT && beside !== undefined ? [kind, entrepotBeside(beside)] : [kind],
    )
}

/** Short, because a socket may be made in it. */
export function directoryOf(directory: string, { name }: ServerKind): string {
  return join(directory, name.toLowerCase().replace(/[^a-z0-9]/g, ''))
}

/** Samples as they come, so that a row need not carry lists around. */
export function collectSamples(): { samples: Sample[]; add: (...some: Sample[]) => void } {
  const samples: Sample[] = []
  return { samples, add: (...some) => void samples.push(...some) }
}

/**
 * In the short form others than Entrepot are measured once where that takes long; the direct pull,
 * which has no kind, is half of a pair.
 */
export function isLeftOut(
  { full }: Pick<RowContext, 'full'>,
  kind: ServerKind | undefined,
  round: number,
): boolean {
  return !full && round > 1 && kind !== undefined && !kind.name.startsWith(ENTREPOT)
}
