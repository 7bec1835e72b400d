// An edge that queues pushes for an upstream behind a line, with a trap that kills it at a named
// moment: everything around the process in one place. What happens in which order is the test's.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createTrap } from './crash-points.ts'
import type { PushedImage } from '../judges/delivery-judge.ts'
import { startEdge } from './edge-process.ts'
import { compileLeapingClock } from '../disk/leaping-clock.ts'
import { createPushClient } from '../clients/push-client.ts'
import type { QueueClient } from '../clients/queue-clients.ts'
import { startStub } from '../stubs/stub-registry.ts'
import { type LineFate, type LineMoment, startUpstreamLine } from '../stubs/upstream-line.ts'
import { watchChanges } from '../disk/watch-changes.ts'

export const REGISTRY = 'registry.test'

/**
 * Longer than a request of an earlier process may take to arrive, than a pause between two
 * attempts, and than an upstream that failed is spared: what waits for any of these goes on.
 */
const LEAP_MS = 6 * 60_000
/**
 * Of the machine's clock: when nothing has passed the line for so long, everything waits for its
 * time.
 */
const QUIET_MS = 3_000
/**
 * What is under way when the clock leaps runs out of time, and waits for the next leap; after some
 * failures the upstream is spared.
 */
const LEAPS_MAX = 20

export type CrashWorld = Awaited<ReturnType<typeof openCrashWorld>>

interface Queued {
  readonly repository: string
  readonly digest: string
  readonly state: string
  readonly reason?: string
}

/** The line is down, and the edge runs. */
export async function openCrashWorld(t: Pick<Test, 'teardown'>) {
  let see: (moment: LineMoment) => LineFate = () => undefined
  const clock = await compileLeapingClock()
  t.teardown(() => clock.remove())
  const stub = await startStub(t)
  const line = await startUpstreamLine(stub.url, moment => see(moment))
  t.teardown(() => line.stop())
  line.down()
  const edge = await startEdge({
    upstreams: { [REGISTRY]: { url: line.url, http: true } },
    config: { default: 'localhost', repositories: [{ match: `${REGISTRY}/**`, push: 'queue' }] },
    env: clock.env,
  })
  t.teardown(() => edge.stop())
  const trap = createTrap(() => void edge.kill())
  t.teardown(watchChanges(edge.dataDirectory, change => trap.pass(`disk: ${change}`)))

  async function queue(): Promise<readonly Queued[]> {
    return ((await edge.askAdmin('/queue')) as { entries: Queued[] }).entries
  }

  /** What waits for nothing but time is tried now. */
  async function leap(): Promise<void> {
    clock.leap(LEAP_MS)
    // Whoever sleeps finds out when it wakes: the thread that delivers is the one that answers
    // here, whichever others serve. It may be killed meanwhile.
    await fetch(`${edge.adminUrl}/livez`).catch(() => {})
  }

  const untilQuiet = (): Promise<void> => line.untilQuiet(QUIET_MS)

  /**
   * Resolves with what is left in the queue, one line for each: nothing, or what was parked or not
   * delivered in time.
   */
  async function drain(): Promise<readonly string[]> {
    line.up()
    let left = await queue()
    for (let leaps = 0; left.length > 0 && leaps < LEAPS_MAX; leaps += 1) {
      await leap()
      await untilQuiet()
      left = await queue()
    }
    return left.map(({ repository, state, reason }) => `${repository} is ${state}: ${reason}`)
  }

  /**
   * Resolves to whether the trap was sprung, and then once the process is gone and the line is
   * down.
   */
  async function spring(
    sprung: Promise<void>,
    { beforeLeap }: { beforeLeap?: () => Promise<void> } = {},
  ): Promise<boolean> {
    for (let leaps = 0; leaps < LEAPS_MAX; leaps += 1) {
      await Promise.race([sprung, untilQuiet()])
      if (!trap.isSprung) {
        await beforeLeap?.()
        await leap()
        continue
      }
      await edge.kill()
      line.down()
      return true
    }
    return false
  }

  return {
    stub,
    line,
    edge,
    trap,
    leap,
    untilQuiet,
    drain,
    spring,
    /** Killed, and started again without its catalog. */
    loseCatalog: async (): Promise<void> => {
      await edge.kill()
      const { dataDirectory } = edge
      for (const name of await readdir(dataDirectory))
        if (name.startsWith('catalog.db')) await rm(join(dataDirectory, name))
      await edge.restart()
    },
    see: (look: (moment: LineMoment) => LineFate): void => {
      see = look
    },
    push: (client: QueueClient): Promise<boolean> =>
      client.push(edge.url, step => trap.pass(`client: ${step}`)),
    /**
     * One sentence for each acknowledged image that neither the queue nor the upstream has, or that
     * can't be read while it waits.
     */
    findLost: async (clients: readonly QueueClient[]): Promise<readonly string[]> => {
      const waiting = new Set((await queue()).map(each => `${each.repository}@${each.digest}`))
      const isWaiting = ({ repository, images }: QueueClient) =>
        images.some(({ digest }) => waiting.has(`${repository}@${digest}`))
      const lost = await findUnreadable(edge.url, clients.filter(isWaiting))
      for (const { name, repository, images } of clients) {
        const got = stub.repositories.get(name)
        const isSafe = ({ digest }: PushedImage) =>
          waiting.has(`${repository}@${digest}`) || got?.manifests.has(digest) === true
        const gone = images.filter(image => image.isAcknowledged && !isSafe(image))
        lost.push(...gone.map(({ digest }) => `${repository}: ${digest} was acknowledged`))
      }
      return lost
    },
    /**
     * One sentence for each acknowledged image that the edge does not give out, and for each tag
     * that it has elsewhere.
     */
    findUnreadable: (clients: readonly QueueClient[]) => findUnreadable(edge.url, clients),
  }
}

async function findUnreadable(url: string, clients: readonly QueueClient[]): Promise<string[]> {
  const reader = createPushClient(url)
  const faults: string[] = []
  for (const { repository, tag, images } of clients) {
    const look = async (reference: string, expected: readonly string[]): Promise<void> => {
      const path = `/v2/${repository}/manifests/${reference}`
      const { status, headers } = await reader.send('HEAD', path)
      const digest = String(headers['docker-content-digest'])
      if (status !== 200 || !expected.includes(digest)) faults.push(`${path}: ${status} ${digest}`)
    }
    const last = images.findLastIndex(({ isAcknowledged }) => isAcknowledged)
    const possible = images.slice(Math.max(last, 0)).map(({ digest }) => digest)
    if (last >= 0) await look(tag, possible)
    for (const { digest, isAcknowledged } of images)
      if (isAcknowledged) await look(digest, [digest])
  }
  reader.close()
  return faults
}
