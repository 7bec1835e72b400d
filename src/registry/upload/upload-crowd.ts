// How many uploads may be begun and not finished, in all and by one client, how many may be open,
// and when one that was begun in vain goes for another (R274).
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'
import { removalOrder, untilFailing } from './removal-order.ts'
import type { Upload } from './upload.ts'
import { tooManyBegun } from './upload-refusal.ts'

/**
 * Each is two files that are read at every start. Far more than push at once: beyond this clients
 * begin and never finish.
 */
export const UPLOADS_MAX = 10_000
/**
 * Of one client: a quarter, so that nobody who begins and never finishes keeps the others from
 * pushing.
 */
export const UPLOADS_CLIENT_MAX = 2_500
/** A descriptor and a buffer each; a few dozen clients push half a dozen blobs at a time. */
export const UPLOADS_OPEN_MAX = 256

/**
 * Where there are too many, one that has no byte after this time goes for another: clients send the
 * first within seconds.
 */
export const VAIN_AFTER_MS = 600_000

export interface AllUploads {
  /** Oldest first. */
  readonly all: ReadonlyMap<string, Upload>
  /** @returns false: it is a blob by now, gone by another, or stuck */
  discard(upload: Upload): Promise<boolean>
}

export interface PlaceDeps {
  readonly clock: Clock
  readonly note: NoteEvent
  /** Monotonic: of this process. */
  readonly startMs: number
}

export interface Beginning {
  /** As in the note. */
  readonly client: string | undefined
  /** MUST be in `all` when this returns. */
  readonly take: () => void
}

/**
 * For another one that begins. Where there are too many, the oldest goes of those that were begun
 * in vain, else of those that are idle. That there is place is seen, and it is taken, in one step:
 * many begin at once.
 * @throws RegistryError TOOMANYREQUESTS where there is none
 */
export async function takePlace(
  from: AllUploads,
  { client, take }: Beginning,
  { clock, note, startMs }: PlaceDeps,
): Promise<void> {
  const find = () => crowdOf([...from.all.values()], client)
  const crowd = find()
  if (crowd === undefined) return take()
  const { uploads, limit } = crowd
  const isVain = (upload: Upload) => isInVain(upload, clock)
  const isIdle = (upload: Upload) => upload.isIdle(clock.monotonicMs(), startMs)
  for (const isUseless of [isVain, isIdle]) {
    // Each is judged when it comes to its turn: of two that begin at once none finds the same one.
    for (const upload of untilFailing(removalOrder(uploads.filter(isUseless), clock), clock)) {
      if (!isUseless(upload)) continue
      const { sizeBytes: bytes } = upload
      // The place of one that is gone by now belongs to whoever removed it.
      if (!(await from.discard(upload))) continue
      if (bytes > 0)
        note({ kind: 'uploads purged', why: 'places', sessions: 1, bytes, dryRun: false })
      // Whoever came meanwhile may have found the place.
      const now = find()
      if (now === undefined) return take()
      // Others are not to go for what lacks this client alone.
      if (now.limit !== limit) return takePlace(from, { client, take }, { clock, note, startMs })
    }
  }
  throw tooManyBegun(limit)
}

function isInVain(upload: Upload, clock: Clock): boolean {
  const since = { changedAtMs: upload.note?.startedAtMs ?? 0, olderThanMs: VAIN_AFTER_MS }
  return upload.sizeBytes === 0 && upload.isAbandoned(clock, since)
}

/**
 * Those of which one has to go, the oldest first; undefined when there is place. Of one client as
 * long as it has too many: none of others goes for those.
 */
function crowdOf(
  uploads: readonly Upload[],
  client: string | undefined,
): { readonly uploads: readonly Upload[]; readonly limit: number } | undefined {
  const theirs = client === undefined ? [] : uploads.filter(({ note }) => note?.client === client)
  if (theirs.length >= UPLOADS_CLIENT_MAX) return { uploads: theirs, limit: UPLOADS_CLIENT_MAX }
  return uploads.length < UPLOADS_MAX ? undefined : { uploads, limit: UPLOADS_MAX }
}
