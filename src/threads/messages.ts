// What two threads say to each other. Both sides say the same things: either may call, and either
// may offer a stream of bytes. Values only: what arrives is a copy, or memory that the sender gave
// up.
import type { ErrorValue } from './error-value.ts'

/**
 * A `call` is settled by one `result` or `failure` with its id, unless an `abort` took it back; a
 * `note` is not. A stream belongs to the side that offers it: no piece comes before the
 * other side's `grant`, nor more than was granted but for one piece, and nothing after `end`,
 * `break` or `leave`. Messages arrive in the order in which they were sent.
 */
export type Message =
  | {
      readonly kind: 'call'
      readonly id: number
      readonly method: string
      readonly request: unknown
    }
  | { readonly kind: 'result'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly error: ErrorValue }
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

/**
 * Bytes that are all of their memory: as they are, or a copy. Whatever crosses is cloned or given
 * away with all of the memory that it lies in, and a small buffer of node lies in a large one
 * beside others.
 */
export function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer>
export function ownBytes(bytes: Uint8Array | undefined): Uint8Array<ArrayBuffer> | undefined
export function ownBytes(bytes: Uint8Array | undefined): Uint8Array<ArrayBuffer> | undefined {
  if (bytes === undefined) return undefined
  const { buffer } = bytes
  const isAll = buffer instanceof ArrayBuffer && bytes.byteLength === buffer.byteLength
  return isAll ? (bytes as Uint8Array<ArrayBuffer>) : new Uint8Array(bytes)
}
