// Which callers are programs of this machine (local-program.ts), where those are told from others
// at all (local-push.ts).
import type { Action, Owner, Principal } from './access.ts'
import { SENT_WITH_LOGINS, SENT_WITH_PULLS, SENT_WITH_TOKENS } from './client-headers.ts'
import { mayCallFromHere, whyNoLocalProgram, whyNotOwner } from './local-program.ts'
import { LOCAL_PUSH_OFF } from './local-push.ts'

export interface LocalSettings {
  /** The user that this server runs as; undefined where systems have no such numbers. */
  readonly serverUid: number | undefined
  /**
   * Why no program of this machine may write, by `http.localpush` or by what it goes by when it is
   * not set; undefined: they may.
   */
  readonly localPushOff: keyof typeof LOCAL_PUSH_OFF | undefined
}

export class Locals {
  readonly #settings: () => LocalSettings

  /** `settings`: see createLocalAccess. */
  constructor(settings: () => LocalSettings) {
    this.#settings = settings
  }

  /** Would it be one, if it belonged to somebody whose programs are? */
  mayBe(principal: Principal, action: Action): boolean {
    return this.#whyNotBySigns(principal, action) === undefined
  }

  /** Undefined: it was not found out yet whom it belongs to, and hangs on that. */
  is(principal: Principal, action: Action): boolean | undefined {
    if (!this.mayBe(principal, action)) return false
    return principal.owner && this.#whyNotByOwner(principal.owner) === undefined
  }

  /** For who is told; of whoever was met. Undefined: it is one. */
  whyNot(principal: Principal, action: Action): string | undefined {
    return (
      this.#whyNotBySigns(principal, action) ?? this.#whyNotByOwner(principal.owner ?? NOT_ASKED)
    )
  }

  /** Does it call from here by a name of here, logged in or not, as far as that is known? */
  callsFromHere(principal: Principal): boolean {
    const { owner } = principal
    return owner !== undefined && mayCallFromHere(principal) && !this.#whyNotByOwner(owner)
  }

  #whyNotBySigns(principal: Principal, action: Action): string | undefined {
    const { localPushOff } = this.#settings()
    if (localPushOff !== undefined) return LOCAL_PUSH_OFF[localPushOff]
    const isRead = action === 'pull' || action === 'list'
    const { login } = principal
    // Each client that is asked for a login fetches one. It names nobody, so it says nothing.
    if (login?.kind === 'anonymous' && login.byToken === true)
      return whyNoLocalProgram(principal, isRead ? SENT_WITH_LOGINS : SENT_WITH_TOKENS)
    return whyNoLocalProgram(principal, isRead ? SENT_WITH_PULLS : undefined)
  }

  /** For whom the signs speak already. */
  #whyNotByOwner(owner: Owner): string | undefined {
    return whyNotOwner(owner, this.#settings().serverUid)
  }
}

/** Without `meet` nobody writes. */
const NOT_ASKED: Owner = { kind: 'unknown', reason: 'it was not asked' }
