// Row: whether time tells what nobody is told: that something hidden is there, and that a name is
// somebody's. Each is asked for as often as what it must not be told from, in an order that chance
// makes.
import { rmSync } from 'node:fs'
import { addHotImage, bringHere, type HotImage } from '../hot-image.ts'
import { connect, type Connection } from '../load-connection.ts'
import { collectSamples, directoryOf, type Row, type RowContext } from '../row.ts'
import type { RunningServer } from '../server-process.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import { basic, bearer, PASSWORD, startWithAccounts, TOKEN_PATH } from '../servers/with-accounts.ts'
import { compareRanks, median } from '../statistics.ts'

const HIDDEN = { repository: 'hidden/app', seed: 'hidden', layerBytes: [4096, 8 * 1024 ** 2] }
const ABSENT = 'absent/app'
/** Of each; the first tenth is not counted. */
const ASKED = { short: 1_000, full: 10_000 }
const UNCOUNTED = 0.1
/** What is hidden is in memory, or open: it was given so often before. */
const GIVEN = 4
/** Logins cost what they cost; what is looked for is what is added to it. */
const CHEAP = ['--cost', '4']
/** Below what one address may get wrong. */
const LOGINS_OF_ADDRESS = 50

/** Lines of the table. */
export const HIDDEN_CASES = ['tag in memory', 'blob in memory', 'open blob of 8 MiB'] as const
export const NAMES = 'wrong password, known name'
/** Further from what chance does than one of a thousand pairs that are alike. */
export const DEVIATIONS_MAX = 3.29

export const hidden: Row = {
  id: 'hidden',
  goal: 'Accounts',
  rounds: { short: 1, full: 3 },
  title: 'Time: hidden and absent, known names and unknown ones',
  method:
    'A user who may not pull a repository asks for what is in it, which others were given just before, and for the same of a repository that is nowhere, ' +
    `${ASKED.full.toLocaleString('en-US')} times each (${ASKED.short.toLocaleString('en-US')} in the short form), one after another on one connection, in an order that chance makes; the first tenth is not counted. ` +
    "Both are 404. For logins a password that is wrong is tried with as many names of accounts and of nobody, each once, at bcrypt's cost 4 and from many addresses. " +
    'The two lists of times are compared by ranks (Mann and Whitney): how likely the first takes longer than the second, and by how many standard deviations that is off one half; ' +
    `above ${DEVIATIONS_MAX} one pair in a thousand is by chance.`,
  tables: [
    {
      table: 'hidden',
      title: 'What time tells',
      lineHeading: 'asked for',
      columns: [
        { measure: 'asked', heading: 'of each' },
        { measure: 'hiddenMs', heading: 'hidden or known: median, ms', digits: 3 },
        { measure: 'absentMs', heading: 'absent or unknown, ms', digits: 3 },
        { measure: 'above', heading: 'first takes longer', digits: 3 },
        { measure: 'deviations', heading: 'deviations', digits: 2 },
        { measure: 'failures', heading: 'other answers' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const image = await addHotImage(context, HIDDEN)
    const count = context.full ? ASKED.full : ASKED.short
    const directory = directoryOf(context.directory, { ...entrepot, name: 'hidden' })
    const names = Array.from({ length: count }, (_, at) => `user-${at}`)
    for (let round = 1; round <= context.rounds; round += 1) {
      context.tell(`hidden, round ${round}`)
      const server = await startWithAccounts(
        { upstreamUrl: context.upstream.url, directory, access: RULES },
        ['chief', 'outsider', ...names],
        CHEAP,
      )
      const place = { table: 'hidden', server: ENTREPOT, round }
      try {
        for (const [line, measures] of await measureHidden(context, { server, image, count }))
          add({ ...place, line, measures })
        add({ ...place, line: NAMES, measures: await measureNames(server, names) })
      } finally {
        await server.stop()
        rmSync(directory, { recursive: true, force: true })
      }
    }
    return { samples, absences: [] }
  },
}

const RULES = [
  { who: 'chief', match: '**', allow: ['pull'] },
  { who: 'outsider', match: 'docker.io/open/**', allow: ['pull'] },
]

interface HiddenOptions {
  readonly server: RunningServer
  readonly image: HotImage
  readonly count: number
}

async function measureHidden(context: RowContext, { server, image, count }: HiddenOptions) {
  const [blob = '', large = ''] = image.blobs
  const authorization = await bearer(server, 'chief')
  const client = open(server, { authorization: await bearer(server, 'outsider') })
  const paths = [image.manifestByTag, blob, large]
  const seen: [string, Record<string, number>][] = []
  for (const [at, path] of paths.entries()) {
    for (let time = 0; time < GIVEN; time += 1)
      await bringHere(context, { kind: entrepot, server }, image, { authorization })
    const absent = path.replace(HIDDEN.repository, ABSENT)
    const asked = Array.from({ length: count }, () => [path, absent] as const)
    const times = await compareTimes(asked, each => timeOf(client, each, 404))
    seen.push([HIDDEN_CASES[at] ?? '', times])
  }
  client.close()
  return seen
}

async function measureNames(server: RunningServer, names: readonly string[]) {
  let tried = 0
  const pairs = names.map(name => [name, `nobody-${name}`] as const)
  return compareTimes(pairs, async name => {
    const address = Math.floor(tried / LOGINS_OF_ADDRESS)
    tried += 1
    const localAddress = `127.1.${address >> 8}.${address & 255}`
    const authorization = basic(name, `not ${PASSWORD}`)
    const client = open(server, { authorization, localAddress })
    try {
      return await timeOf(client, TOKEN_PATH, 401)
    } finally {
      client.close()
    }
  })
}

function open(
  { url }: RunningServer,
  shown: { readonly authorization: string; readonly localAddress?: string },
): Connection {
  const { hostname, port } = new URL(url)
  return connect({ host: hostname, port: Number(port), ...shown })
}

/** Undefined where the answer was another one. */
async function timeOf(
  client: Connection,
  path: string,
  expected: number,
): Promise<number | undefined> {
  const begun = performance.now()
  const { status } = await client.get(path, () => {})
  return status === expected ? performance.now() - begun : undefined
}

async function compareTimes(
  pairs: readonly (readonly [first: string, second: string])[],
  time: (asked: string) => Promise<number | undefined>,
): Promise<Record<string, number>> {
  const tookMs: readonly [number[], number[]] = [[], []]
  let failures = 0
  for (const [at, pair] of pairs.entries()) {
    const isTurned = Math.random() < 0.5
    for (const which of isTurned ? ([1, 0] as const) : ([0, 1] as const)) {
      const ms = await time(pair[which])
      if (ms === undefined) failures += 1
      else if (at >= pairs.length * UNCOUNTED) tookMs[which].push(ms)
    }
  }
  const [first, second] = tookMs
  const { above, deviations } = compareRanks(first, second)
  const medians = { hiddenMs: median(first), absentMs: median(second) }
  return { asked: pairs.length, ...medians, above, deviations: Math.abs(deviations), failures }
}
