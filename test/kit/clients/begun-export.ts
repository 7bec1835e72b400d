// An export as the command line carries it on, step by step: begun, planned and read when a test
// says so.
import { CheckedBundle } from '../../../src/bundle/checked-bundle.ts'
import { readAdmin } from '../../../src/cli/admin-client.ts'
import { ExportSession } from '../../../src/cli/export-session.ts'
import { contextOf } from '../cli.ts'
import type { TestEdge } from '../edge.ts'

/** Begun, of nothing yet. Whoever begins it ends its `session`. */
export async function beginExport({ socket }: Pick<TestEdge, 'socket'>) {
  const server = { kind: 'socket', path: socket } as const
  const session = await ExportSession.begin({
    server,
    json: false,
    context: contextOf(),
    gathering: { platforms: ['linux/amd64'], referrers: true },
  })
  return {
    session,
    /** What it is about, and what of that is not here yet. */
    gather: async (image: string): Promise<void> => {
      await session.gather([image])
      await session.fetch()
    },
    /** All of the bundle; is it whole? */
    read: async (): Promise<boolean> => {
      const check = new CheckedBundle()
      const query = { id: session.id, from: '0' }
      for await (const _ of check.pass(readAdmin({ server, path: '/exports/bundle', query })));
      return check.isWhole
    },
  }
}
