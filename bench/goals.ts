// What Entrepot must reach in each row, in the order of the rows.
import { ACCESS_GOALS } from './goals/access.ts'
import { COLD_GOALS } from './goals/cold.ts'
import { HOT_GOALS } from './goals/hot.ts'
import { STEADY_GOALS } from './goals/steady.ts'
import type { Target } from './targets.ts'

export const GOALS: readonly Target[] = [
  ...HOT_GOALS,
  ...ACCESS_GOALS,
  ...COLD_GOALS,
  ...STEADY_GOALS,
]
