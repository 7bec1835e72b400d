// The keys of `http.limits`: what one client may have under way at once.
import { COUNT } from '../formats/formats.ts'
import { group, optional, value } from './keys.ts'

function limit(description: string) {
  return optional(value(COUNT, { description, atLeast: 1, reload: true }))
}

const LIMIT_KEYS = {
  requests: limit('Requests that are being answered, but `/v2/`.'),
  streams: limit('Of these, blobs that are being sent.'),
  uploads: limit('Of these, those that begin an upload, bring some of it or end it.'),
}

export const CLIENT_LIMITS = optional(
  group(
    'What one client may have under way at once, on all threads together. What is beyond is refused with 429 and `Retry-After`. Without it nobody is limited but as all are.',
    {
      address: group(
        'Of one address, of IPv6 one /64, as `trustedproxies` tell. What is behind one address that is not listed there shares them; a proxy that is listed, and does not say for whom it asks, is not limited.',
        LIMIT_KEYS,
      ),
      account: group(
        'Of one account, from wherever it is used. What comes with a login is then not answered from memory, which takes longer.',
        LIMIT_KEYS,
      ),
    },
  ),
)
