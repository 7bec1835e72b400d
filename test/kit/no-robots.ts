// For tests of the admin API that are about something else: there are no robots.
import type { RobotsControl } from '../../src/admin/api.ts'

export const NO_ROBOTS: RobotsControl = {
  list: () => ({ robots: [] }),
  issue: async () => ({ kind: 'no accounts' }),
  rotate: async () => ({ kind: 'no accounts' }),
  revoke: async () => ({ kind: 'no accounts' }),
}
