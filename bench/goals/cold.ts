// Goals of what is not here yet: P5 many clients on one blob, P6 one client, P7 real clients; and
// what clients see of faults.
import { FOUND_OUT_BY_TRYING, STEPS_OF_A_FILL } from './reasons.ts'
import { SHAPED as ALONE_SHAPED, UNSHAPED } from '../rows/alone.ts'
import { CROWDS, SHAPED, TWENTY } from '../rows/cold.ts'
import { IMAGE_IN_FULL, IN_FULL } from '../rows/full-cache.ts'
import { LIMITED_DAEMONS, LIMITED_SKOPEO } from '../rows/pulls.ts'
import { ownCount, type Target, words } from '../targets.ts'

const cold = { row: 'cold', lines: [TWENTY, SHAPED] }
const full = { row: 'full-cache', lines: [IN_FULL] }
const alone = { row: 'alone', lines: [...UNSHAPED, ALONE_SHAPED] }
const pulls = {
  row: 'pulls',
  measure: 'faster',
  what: 'download, × faster than direct:',
  why: FOUND_OUT_BY_TRYING,
}

export const COLD_GOALS: readonly Target[] = [
  ownCount(
    { ...cold, measure: 'bytesRatio', what: 'bytes upstream, × the blob:', limit: { atMost: 1 } },
    2,
  ),
  ownCount(
    {
      ...cold,
      lines: CROWDS,
      measure: 'bytesRatio',
      what: 'bytes upstream for a crowd, × the blob:',
      limit: { atMost: 1 },
    },
    2,
  ),
  ownCount(
    {
      ...cold,
      measure: 'laterMs',
      what: 'first byte of each client later than direct, ms:',
      limit: { atMost: 10 },
      why: STEPS_OF_A_FILL,
    },
    1,
  ),
  ownCount(
    {
      ...cold,
      lines: [SHAPED],
      measure: 'toLone',
      what: 'last client, × a lone one that asks directly:',
      limit: { atMost: 1.3 },
    },
    2,
  ),
  ownCount(
    {
      ...full,
      measure: 'toEmpty',
      what: 'last client through a full cache, × through one with room:',
      limit: { atMost: 1.1 },
    },
    2,
  ),
  ownCount(
    {
      ...full,
      lines: [IMAGE_IN_FULL],
      measure: 'toEmpty',
      what: 'image through a full cache, × through one with room:',
      limit: { atMost: 1.1 },
    },
    2,
  ),
  ownCount(
    {
      ...alone,
      measure: 'laterMs',
      what: 'first byte later than direct, ms:',
      limit: { atMost: 10 },
      why: STEPS_OF_A_FILL,
    },
    1,
  ),
  ownCount(
    {
      ...alone,
      lines: [ALONE_SHAPED],
      measure: 'ratio',
      what: 'whole blob, × direct:',
      limit: { atMost: 1.03 },
    },
    3,
  ),
  ownCount({ ...pulls, lines: [LIMITED_SKOPEO], limit: { atLeast: 4 } }, 2),
  ownCount({ ...pulls, lines: LIMITED_DAEMONS, limit: { atLeast: 3 } }, 2),
  words('upstream answers 429', 'an answer that says when to come back', /Retry-After: \d/),
  words('start while', 'starts, serves tag and blob', /^starts; tag: served; blob: served$/),
  words(
    'upstream flips',
    'no complete wrong answer, and nothing wrong kept',
    /^(?!.*wrong).*served$/,
  ),
  words('tag deleted', 'gone for the client, too', /^refused, 404$/),
]
