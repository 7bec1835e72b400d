// Goals of accounts: what logins cost answers that are here, and what they cost themselves.
import { MACHINES, ONE_BY_ONE, WRONG } from '../rows/access.ts'
import { DEVIATIONS_MAX, HIDDEN_CASES, NAMES } from '../rows/hidden.ts'
import { ENTREPOT } from '../servers/entrepot.ts'
import { BEARER, MANY } from '../servers/with-accounts.ts'
import { JUDGED_TWICE } from './reasons.ts'
import { ownCount, ratioTo, type Target } from '../targets.ts'

const hot = {
  row: 'access',
  lines: ['blob of 4 KiB', 'manifest by digest', 'manifest by tag'],
  measure: 'requestsPerSecond',
}

export const ACCESS_GOALS: readonly Target[] = [
  ratioTo(
    ENTREPOT,
    {
      ...hot,
      judged: BEARER,
      what: 'requests/s with a Bearer token',
      limit: { atLeast: 0.85 },
    },
    'without accounts',
  ),
  ratioTo(
    ENTREPOT,
    {
      ...hot,
      judged: MANY,
      what: 'requests/s of 1,000 users in 10 groups',
      limit: { atLeast: 0.7 },
    },
    'without accounts',
  ),
  ownCount({
    row: 'access',
    lines: [ONE_BY_ONE],
    measure: 'loginP99Ms',
    what: 'login by password, p99, ms:',
    limit: { atMost: 400 },
  }),
  ownCount({
    row: 'access',
    lines: [MACHINES],
    measure: 'computed',
    what: 'computations of bcrypt:',
    limit: { atMost: 1 },
  }),
  ownCount(
    {
      row: 'access',
      lines: [WRONG],
      measure: 'toIdle',
      what: 'p99 of hot pulls beside wrong logins, × undisturbed:',
      limit: { atMost: 2 },
    },
    2,
  ),
  ownCount(
    {
      row: 'hidden',
      lines: [...HIDDEN_CASES, NAMES],
      measure: 'deviations',
      what: 'time of hidden to absent, in deviations of chance:',
      limit: { atMost: DEVIATIONS_MAX },
      why: JUDGED_TWICE,
    },
    2,
  ),
]
