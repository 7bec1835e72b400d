// Row: what it costs the disk that pulls are counted: they are written together now and then, and
// an answer from memory costs no commit of the catalog.
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { countCommits } from '../../test/kit/disk/wal-commits.ts'
import { addHotImage, bringHere, type HotImage } from '../hot-image.ts'
import { collectSamples, directoryOf, inRounds, type Row, startServers } from '../row.ts'
import { entrepot } from '../servers/entrepot.ts'

const PULLS = 10_000
const CLIENTS = 32
const IMAGES = 100
/**
 * Longer than uses wait on any thread before they are written: those of what goes on being used a
 * minute.
 */
const WRITTEN_MS = 75_000

export const uses: Row = {
  id: 'uses',
  goal: 'Uses',
  title: 'What the catalog writes for hot pulls',
  rounds: { short: 1, full: 3 },
  method:
    `${CLIENTS} clients ask ${PULLS} times for the manifests of ${IMAGES} tags, which are in memory. Commits of the catalog are those in its ` +
    `log, from before the first request until ${WRITTEN_MS / 1000} s after the last.`,
  tables: [
    {
      table: 'uses',
      title: 'Hot pulls and commits',
      lineHeading: 'pulled',
      columns: [
        { measure: 'pulls', heading: 'pulls' },
        { measure: 'commits', heading: 'commits' },
        { measure: 'failures', heading: 'failed answers' },
      ],
    },
  ],
  async run(context) {
    const { samples, add } = collectSamples()
    const { load, directory } = context
    const images: HotImage[] = []
    for (let number = 0; number < IMAGES; number += 1) {
      const repository = `bench/uses-${number}`
      images.push(await addHotImage(context, { repository, seed: repository, layerBytes: [10] }))
    }
    await using servers = await startServers(context, [entrepot])
    const paths = Array.from({ length: PULLS }, (_, n) => images[n % IMAGES]?.manifestByTag ?? '')
    for (const started of servers.running) {
      for (const image of images) await bringHere(context, started, image)
      // In memory on each thread.
      await load.ask(started.server.url, paths, CLIENTS)
    }
    for (const each of inRounds(context, [{ line: `${IMAGES} images` }])) {
      for (const { kind, server } of servers.running) {
        const catalog = join(directoryOf(directory, kind), 'data', 'catalog.db')
        const before = countCommits(catalog)
        const { failures } = await load.ask(server.url, paths, CLIENTS)
        await wait(WRITTEN_MS)
        const commits = countCommits(catalog) - before
        const measures = { pulls: PULLS, commits, failures }
        add({ table: 'uses', ...each, server: kind.name, measures })
      }
    }
    return { samples, absences: servers.absences }
  },
}
