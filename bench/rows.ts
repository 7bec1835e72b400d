// Every row of the bench, in the order in which they run and are printed.
import type { Row } from './row.ts'
import { ablations } from './rows/ablations.ts'
import { access } from './rows/access.ts'
import { alone } from './rows/alone.ts'
import { carrying } from './rows/carrying.ts'
import { cold } from './rows/cold.ts'
import { collecting } from './rows/collecting.ts'
import { evicting } from './rows/evicting.ts'
import { eventLoop } from './rows/event-loop.ts'
import { faults } from './rows/faults.ts'
import { freshness } from './rows/freshness.ts'
import { fullCache } from './rows/full-cache.ts'
import { hidden } from './rows/hidden.ts'
import { hotBlob } from './rows/hot-blob.ts'
import { hotRules } from './rows/hot-rules.ts'
import { hotSmall } from './rows/hot-small.ts'
import { largeCatalog } from './rows/large-catalog.ts'
import { mixed } from './rows/mixed.ts'
import { pulls } from './rows/pulls.ts'
import { push } from './rows/push.ts'
import { scrubbing } from './rows/scrubbing.ts'
import { stalled } from './rows/stalled.ts'
import { start } from './rows/start.ts'
import { threads } from './rows/threads.ts'
import { tls } from './rows/tls.ts'
import { uses } from './rows/uses.ts'

export const ROWS: readonly Row[] = [
  hotBlob,
  tls,
  hotSmall,
  hotRules,
  access,
  hidden,
  freshness,
  uses,
  cold,
  fullCache,
  alone,
  pulls,
  push,
  stalled,
  largeCatalog,
  evicting,
  collecting,
  scrubbing,
  carrying,
  eventLoop,
  start,
  faults,
  mixed,
  threads,
  ablations,
]
