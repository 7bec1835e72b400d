// Accounts as further HTTP threads have them: passwords are tried where all threads ask, so that
// equal ones cost one computation whichever threads they came to.
import type { Accounts } from '../access/accounts.ts'
import type { CoordinatorThread } from './sides.ts'

const GONE_RETRY_AFTER_SECONDS = 1

const GONE = { kind: 'busy', retryAfterSeconds: GONE_RETRY_AFTER_SECONDS } as const

export function borrowAccounts(coordinator: () => CoordinatorThread): Accounts {
  return {
    verify: attempt =>
      coordinator()
        .call('verify', attempt)
        .catch(() => ({ login: GONE, forMs: 0 })),
    readToken: token =>
      coordinator()
        .call('readToken', token)
        .catch(() => ({ login: GONE, forMs: 0 })),
    issueToken: request =>
      coordinator()
        .call('issueToken', request)
        .catch(() => GONE),
  }
}
