// The keys of a quota, of an upstream and of a rule of `repositories` alike.
import { SIZE } from '../formats/formats.ts'
import { group, optional, value } from './keys.ts'

const QUOTA_KEYS = {
  ceiling: optional(
    value(SIZE, {
      description:
        'Most that these may take for long: a size, or a share of `storage.maxsize`. What is above it leaves before anything else does; no pull fails for it.',
      reload: true,
    }),
  ),
  floor: optional(
    value(SIZE, {
      description:
        'What is left to these when others need room: a size, or a share of `storage.maxsize`. Their own pulls go on replacing it.',
      reload: true,
    }),
  ),
}

export const QUOTA = optional(
  group(
    'How much of the cache these may have. What several repositories have counts in each of them.',
    QUOTA_KEYS,
  ),
)
