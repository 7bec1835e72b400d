// Every row of the bench, in the order in which they run and are printed.
import type { Row } from './row.ts'
import { cold } from './rows/cold.ts'
import { faults } from './rows/faults.ts'
import { hotBlob } from './rows/hot-blob.ts'
import { hotSmall } from './rows/hot-small.ts'
import { push } from './rows/push.ts'
import { skopeo } from './rows/skopeo.ts'
import { start } from './rows/start.ts'

export const ROWS: readonly Row[] = [cold, faults, hotBlob, hotSmall, start, skopeo, push]
