// Limits of one client (http.limits) that change nothing, or keep out whoever pulls one image. The
// server starts with them all the same.
import type { Judge } from '../judge.ts'
import type { Settings } from '../schema/schema.ts'

/** An image is pulled by some clients with ten requests at once. */
const ONE_PULL = 16

export function judgeClientLimits(judge: Judge, { http, auth }: Settings): void {
  const { limits, streams } = http
  if (limits === undefined) return
  for (const whose of ['address', 'account'] as const) {
    const note = (limited: string, message: string) =>
      judge.note(['http', 'limits', whose, limited], { severity: 'warning', message })
    const most = limits[whose]
    for (const limited of ['requests', 'streams', 'uploads'] as const) {
      const value = most[limited]
      if (value === undefined) continue
      if (value < ONE_PULL)
        note(
          limited,
          `is less than a client may have under way for one image: some give the image up at the first 429; ${ONE_PULL} is the least that disturbs nobody`,
        )
      if (whose === 'account' && auth === undefined)
        note(limited, 'changes nothing: without auth there are no accounts')
      if (limited !== 'requests' && most.requests !== undefined && value > most.requests)
        note(limited, `changes nothing: there are ${most.requests} requests at most`)
    }
    if (streams !== undefined && most.streams !== undefined && most.streams >= streams)
      note('streams', `changes nothing: all together have ${streams} (http.streams)`)
  }
}
