// The orders that are compared, and the one that was chosen.
import { aged } from './policies/aged.ts'
import { gdsf } from './policies/gdsf.ts'
import { LRU, LRU_2 } from './policies/lru.ts'
import type { PolicyKind } from './policies/policy.ts'
import { S3_FIFO } from './policies/s3-fifo.ts'
import { wTinyLfu } from './policies/w-tiny-lfu.ts'

export const CHOSEN: PolicyKind = aged('LFU, aged')

export const POLICIES: readonly PolicyKind[] = [
  LRU,
  LRU_2,
  CHOSEN,
  aged('LFU, aged, by size', { sizeWeight: 0.25 }),
  gdsf('GDSF, a miss is 1', 'one'),
  gdsf('GDSF, by seconds', 'seconds'),
  S3_FIFO,
  wTinyLfu('W-TinyLFU, 1 %', 0.01),
  wTinyLfu('W-TinyLFU, 20 %', 0.2),
]

const HOUR_MS = 3_600_000

/** By how fast uses lose weight, which of them count, and how long they are remembered. */
export const AGEINGS: readonly PolicyKind[] = [
  ...[6, 12, 24, 48, 168].flatMap(hours =>
    [0, 1, 24].map(apart =>
      aged(`half life ${hours} h, uses ${apart} h apart`, {
        halfLifeMs: hours * HOUR_MS,
        apartMs: apart * HOUR_MS,
      }),
    ),
  ),
  ...[3, 30].map(days =>
    aged(`as chosen, remembered for ${days} d`, { rememberedMs: days * 24 * HOUR_MS }),
  ),
]
