// What two threads say to each other. Both sides say the same things: either may ask, and either
// may offer a stream of bytes. Values only: what arrives is a copy, or memory that the sender gave
// up.
import type { ErrorValue } from './error-value.ts'

/**
 * An `ask` is settled by one `answer` or `refuse` with its id, unless an `abort` took it back; a
 * `note` is not answered. A stream belongs to the side that offers it: no piece comes before the
 * other side's `grant`, nor more than was granted but for one piece, and nothing after `end`,
 * `break` or `leave`. Messages arrive in the order in which they were sent.
 */
export type Message =
  | {
      readonly kind: 'ask'
      readonly id: number
      readonly method: string
      readonly request: unknown
    }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'refuse'; readonly id: number; readonly error: ErrorValue }
  | { readonly kind: 'abort'; readonly id: number; readonly error: ErrorValue }
  | { readonly kind: 'note'; readonly name: string; readonly value: unknown }
  | { readonly kind: 'grant'; readonly stream: number; readonly bytes: number }
  | { readonly kind: 'leave'; readonly stream: number }
  | { readonly kind: 'piece'; readonly stream: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly kind: 'end'; readonly stream: number }
  | { readonly kind: 'break'; readonly stream: number; readonly error: ErrorValue }

/**
 * The part of a MessagePort or Worker that is used: in order, and nothing lost while both sides
 * live. Several messages cross as one: each crossing wakes a thread.
 */
export interface Port {
  /** @throws when a message holds what cannot cross; then nothing was sent */
  postMessage(messages: readonly Message[], transfer?: readonly ArrayBuffer[]): void
  on(event: 'message', listener: (messages: readonly Message[]) => void): unknown
}
