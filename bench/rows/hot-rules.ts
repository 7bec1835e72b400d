// Row: what access rules cost an answer from memory: none, and a thousand of ten networks, in turn.
import { addHotImage, bringHere } from '../hot-image.ts'
import { measureSmall } from '../hot-measures.ts'
import { collectSamples, inRounds, type Row, startServers } from '../row.ts'
import { ENTREPOT, entrepot } from '../servers/entrepot.ts'
import type { ServerKind } from '../servers/kind.ts'
import { runWrk } from '../wrk.ts'

const REPOSITORY = 'bench/rules'
const RULES = 1_000
const NETWORKS = 10
const CLIENTS = 32
const SECONDS = 2
const WARM_SECONDS = 1

/** The last one lets the client in. */
const ACCESS = Array.from({ length: RULES }, (_, at) =>
  at === RULES - 1
    ? { who: 'net:127.0.0.0/8', match: 'docker.io/**', allow: ['pull'] }
    : { who: `net:10.${at % NETWORKS}.0.0/16`, match: `docker.io/team${at}/**`, allow: ['pull'] },
)

/** The first is what the other is held against. */
const KINDS: readonly ServerKind[] = [
  { name: `${ENTREPOT}, no rules`, start: options => entrepot.start(options) },
  {
    name: `${ENTREPOT}, ${RULES} rules`,
    start: options => entrepot.start({ ...options, access: ACCESS }),
  },
]

export const hotRules: Row = {
  id: 'hot-rules',
  goal: 'Rules',
  rounds: { short: 2, full: 5 },
  title: 'Hot and small, with access rules and without',
  method:
    `wrk asks for ${SECONDS} s over ${CLIENTS} connections that are kept open; a second before that is not counted. ` +
    `${RULES} rules name ${NETWORKS} networks and a pattern each; the last one lets the client in. "To none" is the CPU for each ` +
    'answer over that without rules in the same round.',
  tables: [
    {
      table: 'hot-rules',
      title: 'Hot and small, by rules',
      lineHeading: 'content',
      columns: [
        { measure: 'requestsPerSecond', heading: 'requests/s' },
        { measure: 'cpuMicroseconds', heading: 'CPU, µs per request', digits: 1 },
        { measure: 'boxMicroseconds', heading: 'whole box, µs per request', digits: 1 },
        { measure: 'toNone', heading: 'to none, ×', digits: 2 },
        { measure: 'failures', heading: 'failed answers' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const image = await addHotImage(context, {
      repository: REPOSITORY,
      seed: 'rules',
      layerBytes: [4096],
    })
    const options = { clients: CLIENTS, seconds: SECONDS, accept: image.accept }
    const cases = [
      { line: 'blob of 4 KiB', path: image.blobs[0] ?? '' },
      { line: 'manifest by digest', path: image.manifestByDigest },
      { line: 'manifest by tag', path: image.manifestByTag },
    ]
    await using servers = await startServers(context, KINDS)
    for (const started of servers.running) {
      await bringHere(context, started, image)
      for (const { path } of cases)
        await runWrk(`${started.server.url}${path}`, { ...options, seconds: WARM_SECONDS })
    }
    for (const { path, ...place } of inRounds(context, cases)) {
      let none = Number.NaN
      for (const { kind, server } of servers.running) {
        const seen = await measureSmall(server, path, options)
        if (kind === KINDS[0]) none = seen.cpuMicroseconds
        const measures = { ...seen, toNone: seen.cpuMicroseconds / none }
        add({ table: 'hot-rules', ...place, server: kind.name, measures })
      }
    }
    return { samples, absences: servers.absences }
  },
}
