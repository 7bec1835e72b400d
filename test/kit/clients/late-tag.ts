// A tag on its way to the upstream that is held back on the line, until whoever sent it is long
// gone: one at a time.
import type { LineFate, LineMoment } from '../stubs/upstream-line.ts'

export interface LateTag {
  /** To be asked at every moment. Holds the first tag that arrives and is wanted. */
  see(moment: LineMoment, isWanted: () => boolean): LineFate
  /** The repository whose tag is held; undefined when none is, or not any more. */
  readonly heldFor: string | undefined
  /** Resolves when the upstream has carried it out; at once when none was held. */
  release(): Promise<void>
}

export function createLateTag(): LateTag {
  const released = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  let held: LineMoment | undefined
  let isReleased = false
  return {
    see(moment, isWanted) {
      const { id, request, phase } = moment
      if (id === held?.id && phase === 'taken, not answered') taken.resolve()
      if (held !== undefined || request !== 'PUT of a tag' || phase !== 'arrives') return undefined
      if (!isWanted()) return undefined
      held = moment
      return released.promise
    },
    get heldFor() {
      return isReleased ? undefined : held?.repository
    },
    release() {
      if (held === undefined) return Promise.resolve()
      isReleased = true
      released.resolve()
      return taken.promise
    },
  }
}
