// For tests of the admin API that are about something else: there are no accounts.
import type { AccountsControl } from '../../../src/admin/api.ts'

export const NO_ACCOUNTS: AccountsControl = {
  look: async () => undefined,
  endLogins: async () => 'no accounts',
  robots: {
    list: () => ({ robots: [] }),
    issue: async () => ({ kind: 'no accounts' }),
    rotate: async () => ({ kind: 'no accounts' }),
    revoke: async () => ({ kind: 'no accounts' }),
  },
}
