// Logins over a computation that is counted, and that a test lets go on: what costs one is seen,
// and what comes while others are under way.
import type { Verified } from '../../src/access/accounts.ts'
import type { Entry } from '../../src/access/htpasswd/parse.ts'
import { PasswordCheck, type RefusedByLimit } from '../../src/accounts/password-check.ts'

const KEY = new Uint8Array(32).fill(7)
/** From TEST-NET-1. */
export const HERE = '192.0.2.1'

export interface OpenCheck {
  readonly check: PasswordCheck
  /** From `address`; default HERE. */
  verify(name: string, password: string, address?: string): Promise<Verified>
  /** Passwords, in the order in which they were computed. */
  readonly computed: readonly { readonly password: string; readonly hash: string }[]
  readonly tried: readonly string[]
  readonly limited: readonly RefusedByLimit[]
  /** Computations wait from now on. */
  hold(): void
  letGo(): void
  pass(ms: number): void
}

/** Right is the password that the hash begins with. */
export function entryOf(name: string, password: string, cost = 4): Entry {
  return { name, cost, hash: `$2y$${String(cost).padStart(2, '0')}$${password.padEnd(53, '.')}` }
}

export function openPasswordCheck(): OpenCheck {
  const computed: { readonly password: string; readonly hash: string }[] = []
  const tried: string[] = []
  const limited: RefusedByLimit[] = []
  let nowMs = 1
  let held: PromiseWithResolvers<void> | undefined
  const check = new PasswordCheck({
    async compare(password, hash) {
      computed.push({ password, hash })
      await held?.promise
      return hash.slice('$2y$04$'.length).startsWith(`${password}.`)
    },
    monotonicMs: () => nowMs,
    key: KEY,
    tried: outcome => tried.push(outcome),
    limited: refused => limited.push(refused),
  })
  return {
    check,
    verify: (name, password, address = HERE) => check.verify({ name, password, address }),
    computed,
    tried,
    limited,
    hold() {
      held = Promise.withResolvers()
    },
    letGo() {
      held?.resolve()
      held = undefined
    },
    pass(ms) {
      nowMs += ms
    },
  }
}
