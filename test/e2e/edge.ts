// The edge as the matrix uses it: two upstreams behind gates, an address that survives a restart,
// and a look at its log and its data directory for the moments that a client does not show.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type EdgeProcess, type LogLine, startEdge } from '../kit/worlds/edge-process.ts'
import { freshDirectory, within } from './processes.ts'

/** Everything is on loopback and small: longer than this is a hang. */
const PATIENCE_MS = 20_000
/** The file system tells of no growth. */
const LOOK_AGAIN_MS = 10

export interface TestEdge {
  /** `127.0.0.1:PORT`, the same after `restart`. */
  readonly authority: string
  /** Index of the next log line: where to look from. */
  logEnd(): number
  /** The first line from `from` on that says that a blob's GET ended, with this outcome. */
  blobAnswered(digest: string, wanted: { outcome: string; from: number }): Promise<LogLine>
  /** The first line from `from` on that says that a fill of this blob was stored. */
  filled(digest: string, from: number): Promise<LogLine>
  /** Resolves when a client has asked for this blob, whose fill the edge may have begun before. */
  askedFor(digest: string, from: number): Promise<void>
  /**
   * Bytes of a blob that is not whole yet, as they are on disk and are believed after a kill: of a
   * part with holes, what its sidecar says (docs/storage-format.md).
   */
  believedBytes(digest: string): number
  /**
   * Resolves when so many bytes of a blob that is not whole yet are on disk, and its sidecar, which
   * comes beside the first of them: without it an edge that was killed believes none.
   */
  partReaches(digest: string, sizeBytes: number): Promise<void>
  /** kill -9 */
  kill(): Promise<void>
  restart(): Promise<void>
  stop(): Promise<void>
}

const started = new Set<EdgeProcess>()
process.once('exit', () => {
  for (const edge of started) if (edge.alive) process.kill(edge.pid, 'SIGKILL')
})

/**
 * Tags are asked for every time, except `held`, which stays fresh for longer than any run takes.
 */
export async function startTestEdge(
  upstreams: Readonly<Record<string, string>>,
): Promise<TestEdge> {
  const freshness = { ttl: 0, tags: [{ match: '*:held', ttl: '1h' }] }
  const config: Record<string, unknown> = { log: { level: 'debug' } }
  const edge = await startEdge({
    directory: freshDirectory('edge'),
    upstreams: Object.fromEntries(
      Object.entries(upstreams).map(([host, url]) => [host, { url, http: true, ...freshness }]),
    ),
    config,
  })
  started.add(edge)
  const authority = new URL(edge.url).host
  // Clients keep the address that they were configured with.
  config['http'] = { addr: authority }

  const partOf = (digest: string) => join(edge.dataDirectory, 'fills', digest.replace(':', '-'))
  const partBytes = (digest: string) =>
    statSync(partOf(digest), { throwIfNoEntry: false })?.size ?? 0
  const logged = (what: string, from: number, wanted: (line: LogLine) => boolean) =>
    within(PATIENCE_MS, `the log to say: ${what}`, edge.untilLogged(wanted, from))
  return {
    authority,
    logEnd: () => edge.logs.length,
    blobAnswered: (digest, { outcome, from }) =>
      logged(`blob ${digest} ${outcome}`, from, line => {
        if (line.msg !== 'request completed' || line['method'] !== 'GET') return false
        return line['reference'] === digest && line['outcome'] === outcome
      }),
    filled: (digest, from) =>
      logged(`fill ${digest} stored`, from, line => {
        return (
          line.msg === 'fill ended' && line['digest'] === digest && line['outcome'] === 'stored'
        )
      }),
    async askedFor(digest, from) {
      await logged(`fill ${digest} started`, from, line => {
        return line.msg === 'fill started' && line['digest'] === digest
      })
      const isAhead = (step: string) => (line: LogLine) =>
        line.msg === 'fetching a blob ahead' && line['digest'] === digest && line['step'] === step
      if (edge.logs.slice(from).some(isAhead('started')))
        await logged(`a client came for ${digest}`, from, isAhead('used'))
    },
    believedBytes(digest) {
      const sidecar = readFileSync(`${partOf(digest)}.json`, 'utf8')
      const { prefixBytes } = JSON.parse(sidecar) as { prefixBytes?: number }
      return Math.min(partBytes(digest), prefixBytes ?? Number.POSITIVE_INFINITY)
    },
    async partReaches(digest, sizeBytes) {
      const deadline = Date.now() + PATIENCE_MS
      while (partBytes(digest) < sizeBytes || !existsSync(`${partOf(digest)}.json`)) {
        if (Date.now() > deadline) throw new Error(`${partBytes(digest)} bytes came to disk`)
        await wait(LOOK_AGAIN_MS)
      }
    },
    async kill() {
      await edge.kill()
    },
    restart: () => edge.restart(),
    async stop() {
      await edge.stop()
    },
  }
}
