// What found no room since the start: what was refused of pushes, and what was not kept. Said to
// the operator, who otherwise sees a disk with room and an image that is fetched again and again:
// what is wanted may be larger than what is free.
import type { Clock } from '../ports/clock.ts'
import type { NoteEvent } from '../ports/events.ts'

export interface Refused {
  /** Requests of pushes: a client sends several for an image, at once or again. */
  readonly pushes: number
  /**
   * Blobs, manifests and lists, whoever wanted them: clients, which they are passed on to, a
   * prefetch or `entrepot pull`.
   */
  readonly notKept: number
  /** Absent when there was none. */
  readonly last?: {
    readonly atMs: number
    /** Absent when nobody had said how long it is, or a write found out. */
    readonly wantedBytes?: number
    /** Of that, at most, there was room for so much. */
    readonly freeBytes?: number
  }
}

export class WantOfSpace {
  #refused: Refused = { pushes: 0, notKept: 0 }

  /** What is told goes on to `note`. */
  counted(note: NoteEvent, clock: Pick<Clock, 'nowMs'>): NoteEvent {
    return event => {
      if (event.kind === 'storage failed' && event.failure === 'full') {
        const { pushes, notKept } = this.#refused
        this.#refused = {
          pushes: pushes + (event.isPush === true ? 1 : 0),
          notKept: notKept + (event.isPush === true ? 0 : 1),
          last: { atMs: clock.nowMs(), ...event.room },
        }
      }
      note(event)
    }
  }

  get refused(): Refused {
    return this.#refused
  }
}
