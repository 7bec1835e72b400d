// Row: what accounts cost: an answer from memory, by what its client shows; a login; and a login
// that is wrong, for those who pull meanwhile.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { AUTH_METRICS } from '../../src/observe/auth-metrics.ts'
import { addHotImage, bringHere, type HotImage } from '../hot-image.ts'
import { measureSmall } from '../hot-measures.ts'
import type { LoggedIn } from '../load-logins.ts'
import { readMetric } from '../prometheus.ts'
import {
  collectSamples,
  directoryOf,
  inRounds,
  joinSeen,
  type Row,
  type RowContext,
  type Seen,
  type Started,
  startServers,
} from '../row.ts'
import type { RunningServer } from '../server-process.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import {
  basic,
  bearer,
  HOT_LOGINS,
  startWithAccounts,
  TOKEN_PATH,
} from '../servers/with-accounts.ts'
import { percentile } from '../statistics.ts'
import { runWrk } from '../wrk.ts'

const IMAGE = { repository: 'bench/access', seed: 'access', layerBytes: [4096] }
const CLIENTS = 32
const SECONDS = { short: 1, full: 2 }
const WARM_SECONDS = 1
/** So often each token: of two threads one has then not read four in a thousand. */
const SHOWN_BEFORE = 8
const LOGINS = { short: 20, full: 100 }
const MACHINES_COUNT = 200
const WRONG_A_SECOND = 200
/** No address is told to wait within a run: that would cost nothing. */
const ADDRESSES = 50
const PULLING = 8
const WRONG_SECONDS = { short: 3, full: 5 }

const HEARD_MS = 30_000
const POLL_MS = 50

/** Lines of the tables. */
export const ONE_BY_ONE = 'one after another'
export const MACHINES = '200 machines at once, one password'
export const WRONG = '200 wrong logins a second'

export const access: Row = {
  id: 'access',
  goal: 'Accounts',
  rounds: { short: 1, full: 5 },
  title: 'Accounts: hot and small by what clients show, logins, and wrong ones',
  method:
    `wrk asks for ${SECONDS.full} s (${SECONDS.short} in the short form) over ${CLIENTS} connections that are kept open; ${WARM_SECONDS} s for each content (in the short form for one) at the ` +
    'beginning of a round is not counted, in which threads read the tokens, as they do once a minute. A server without accounts; one with an account, ' +
    'whose client shows a token of the edge or the password; and one with 1,000 accounts in 10 groups and two rules for each group, whose tokens ' +
    'are shown one after the other. "To none" is requests a second over those without accounts in the same round.\n\n' +
    'For logins a server is started anew each round, with accounts by `entrepot user` at its default cost. A login is a connection and a request for ' +
    `a token with a password that was not tried before, one after another. ${MACHINES_COUNT} machines at ${ADDRESSES} addresses show one password at once. Computations ` +
    `are counted by \`${AUTH_METRICS.authPasswords.name}\`. Wrong logins are one each ${1_000 / WRONG_A_SECOND} ms, from ${ADDRESSES} addresses and each for another ` +
    `account and password, whatever becomes of those before; meanwhile wrk asks for a manifest with a token over ${PULLING} connections, as it did just before ` +
    'without them. What cannot be computed soon is told to come back.',
  tables: [
    {
      table: 'access-hot',
      title: 'Hot and small, by what clients show',
      lineHeading: 'content',
      columns: [
        { measure: 'requestsPerSecond', heading: 'requests/s' },
        { measure: 'toNone', heading: 'to none, ×', digits: 2 },
        { measure: 'cpuMicroseconds', heading: 'CPU, µs per request', digits: 1 },
        { measure: 'boxMicroseconds', heading: 'whole box, µs per request', digits: 1 },
        { measure: 'p99Ms', heading: 'p99, ms', digits: 2 },
        { measure: 'failures', heading: 'failed answers' },
      ],
    },
    {
      table: 'access-logins',
      title: 'Logins',
      lineHeading: 'logins',
      columns: [
        { measure: 'logins', heading: 'logins' },
        { measure: 'computed', heading: 'computations' },
        { measure: 'loginP50Ms', heading: 'p50, ms', digits: 1 },
        { measure: 'loginP99Ms', heading: 'p99, ms', digits: 1 },
        { measure: 'failures', heading: 'failed logins' },
      ],
    },
    {
      table: 'access-wrong',
      title: 'Hot pulls beside wrong logins',
      lineHeading: 'beside',
      columns: [
        { measure: 'idleP99Ms', heading: 'pull p99 before, ms', digits: 2 },
        { measure: 'pullP99Ms', heading: 'meanwhile, ms', digits: 2 },
        { measure: 'toIdle', heading: '× before', digits: 2 },
        { measure: 'rateToIdle', heading: 'requests/s, × before', digits: 2 },
        { measure: 'computed', heading: 'computations' },
        { measure: 'refused', heading: 'told wrong' },
        { measure: 'later', heading: 'told to come back' },
        { measure: 'failures', heading: 'failed pulls, and logins let in or not answered' },
      ],
    },
  ],
  async run(context) {
    const image = await addHotImage(context, IMAGE)
    return joinSeen([await measureHot(context, image), await measureLogins(context, image)])
  },
}

async function measureHot(context: RowContext, image: HotImage): Promise<Seen> {
  const { samples, add } = collectSamples()
  const seconds = secondsOf(context, SECONDS)
  const options = { clients: CLIENTS, accept: image.accept }
  const cases = [
    { line: 'blob of 4 KiB', path: image.blobs[0] ?? '' },
    { line: 'manifest by digest', path: image.manifestByDigest },
    { line: 'manifest by tag', path: image.manifestByTag },
  ]
  await using servers = await startServers(context, HOT_LOGINS)
  const fileOf = ({ kind }: Started) => join(context.directory, kind.name.replace(/\W/g, ''))
  const begin = async (started: Started) => {
    const logins = fileOf(started)
    const all = await loginsOf(started)
    writeFileSync(logins, `${all.join('\n')}\n`, { mode: 0o600 })
    const [authorization = ''] = all
    await bringHere(context, started, image, authorization === '' ? {} : { authorization })
    const warm = { ...options, logins, seconds: WARM_SECONDS }
    let asked = 0
    for (const { path } of context.full ? cases : cases.slice(0, 1))
      asked += (await runWrk(`${started.server.url}${path}`, warm)).requests
    while (asked < all.length * SHOWN_BEFORE)
      asked += (await runWrk(`${started.server.url}${image.manifestByDigest}`, warm)).requests
  }
  for (const { path, ...place } of inRounds(context, cases)) {
    // Tokens last five minutes.
    if (place.line === cases[0]?.line) for (const started of servers.running) await begin(started)
    let none = Number.NaN
    for (const started of servers.running) {
      const { kind, server } = started
      const logins = fileOf(started)
      const seen = await measureSmall(server, path, { ...options, logins, seconds })
      if (kind.name === ENTREPOT) none = seen.requestsPerSecond
      const measures = { ...seen, toNone: seen.requestsPerSecond / none }
      add({ table: 'access-hot', ...place, server: kind.name, measures })
    }
  }
  return { samples, absences: servers.absences }
}

/** Another version, measured beside, has no accounts. */
async function loginsOf({ kind, server }: Started): Promise<readonly string[]> {
  const own = HOT_LOGINS.find(({ name }) => name === kind.name)
  return own === undefined ? [''] : own.logins(server)
}

async function measureLogins(context: RowContext, image: HotImage): Promise<Seen> {
  const { samples, add } = collectSamples()
  const count = context.full ? LOGINS.full : LOGINS.short
  const names = Array.from({ length: count }, (_, at) => `user-${at}`)
  const directory = directoryOf(context.directory, { ...entrepot, name: 'logins' })
  for (let round = 1; round <= context.rounds; round += 1) {
    context.tell(`logins, round ${round}`)
    const options = { upstreamUrl: context.upstream.url, directory }
    const server = await startWithAccounts(options, ['puller', 'machine', ...names])
    const common = { server: ENTREPOT, round }
    try {
      await untilOperatorsAreHeard(server)
      const oneByOne = await measureOneByOne(context, server, names)
      add({ ...common, table: 'access-logins', line: ONE_BY_ONE, measures: oneByOne })
      const machines = await measureMachines(context, server)
      add({ ...common, table: 'access-logins', line: MACHINES, measures: machines })
      const wrong = await measureWrong(context, server, image)
      add({ ...common, table: 'access-wrong', line: WRONG, measures: wrong })
    } finally {
      await server.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  }
  return { samples, absences: [] }
}

async function measureOneByOne(
  { load }: RowContext,
  server: RunningServer,
  names: readonly string[],
) {
  const computed = await countComputed(server)
  const waitsMs: number[] = []
  let failures = 0
  for (const name of names) {
    const authorization = basic(name)
    for (const seen of await load.pull(server.url, [TOKEN_PATH], { authorization })) {
      waitsMs.push(seen.lastByteMs)
      if (seen.status !== 200 || !seen.complete) failures += 1
    }
  }
  return {
    logins: names.length,
    computed: await computed(),
    loginP50Ms: percentile(waitsMs, 0.5),
    loginP99Ms: percentile(waitsMs, 0.99),
    failures,
  }
}

async function measureMachines({ load }: RowContext, server: RunningServer) {
  const computed = await countComputed(server)
  const authorization = basic('machine')
  const shown = Array.from({ length: MACHINES_COUNT }, (_, address) => {
    return { authorization, address: address % ADDRESSES }
  })
  const seen = await load.logIn(server.url, TOKEN_PATH, { shown, everyMs: 0 })
  const failures = MACHINES_COUNT - countOf(seen, 200)
  return { logins: MACHINES_COUNT, computed: await computed(), failures }
}

async function measureWrong(context: RowContext, server: RunningServer, image: HotImage) {
  const { load, directory } = context
  const seconds = secondsOf(context, WRONG_SECONDS)
  const authorization = await bearer(server, 'puller')
  await bringHere(context, { kind: entrepot, server }, image, { authorization })
  const logins = join(directory, 'puller')
  writeFileSync(logins, `${authorization}\n`, { mode: 0o600 })
  const options = { clients: PULLING, accept: image.accept, logins }
  const url = `${server.url}${image.manifestByDigest}`
  await runWrk(url, { ...options, seconds: WARM_SECONDS })
  const before = await runWrk(url, { ...options, seconds })
  const computed = await countComputed(server)
  // They begin before the pulls that are measured, and end after them.
  const shown = Array.from({ length: WRONG_A_SECOND * (seconds + 1) }, (_, at) => {
    return { authorization: basic(`guessed-${at}`, `wrong-${at}`), address: at % ADDRESSES }
  })
  const everyMs = 1_000 / WRONG_A_SECOND
  const wrong = load.logIn(server.url, TOKEN_PATH, { shown, everyMs })
  const meanwhile = await runWrk(url, { ...options, seconds })
  const seen = await wrong
  const refused = countOf(seen, 401)
  const later = countOf(seen, 429) + countOf(seen, 503)
  return {
    idleP99Ms: before.p99Ms,
    pullP99Ms: meanwhile.p99Ms,
    toIdle: meanwhile.p99Ms / before.p99Ms,
    rateToIdle: meanwhile.requestsPerSecond / before.requestsPerSecond,
    computed: await computed(),
    refused,
    later,
    failures: before.failures + meanwhile.failures + shown.length - refused - later,
  }
}

/** They are listened to a moment after clients. @throws Error where they never are */
async function untilOperatorsAreHeard({ adminUrl }: RunningServer): Promise<void> {
  const startMs = performance.now()
  const isHeard = async () => (await fetch(`${adminUrl}/livez`).catch(() => undefined))?.ok
  while ((await isHeard()) !== true) {
    if (performance.now() - startMs > HEARD_MS) throw new Error('operators are not listened to')
    await wait(POLL_MS)
  }
}

/** The result tells how many passwords were computed since. */
async function countComputed(server: RunningServer): Promise<() => Promise<number>> {
  const read = async () => {
    const metrics = await (await fetch(`${server.adminUrl}/metrics`)).text()
    const values = (['right', 'wrong', 'failed'] as const)
      .map(outcome =>
        readMetric(metrics, `${AUTH_METRICS.authPasswords.name}{outcome="${outcome}"}`),
      )
      // An outcome that never was has no series.
      .filter(value => !Number.isNaN(value))
    return values.length === 0 ? Number.NaN : values.reduce((sum, value) => sum + value, 0)
  }
  const before = (await read()) || 0
  return async () => (await read()) - before
}

function countOf({ byStatus }: LoggedIn, status: number): number {
  return byStatus[status] ?? 0
}

function secondsOf(
  { full }: RowContext,
  seconds: { readonly short: number; readonly full: number },
): number {
  return full ? seconds.full : seconds.short
}
