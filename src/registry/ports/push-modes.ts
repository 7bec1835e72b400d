// The words of the operator's rules about pushes: one table for the configuration, the engine, its
// events and its metrics.

/**
 * How a push is taken.
 * - `store`: kept here, until it is deleted
 * - `forward`: goes to the upstream while the client waits; its verdict is the client's
 * - `queue`: acknowledged when it is durable here, delivered when the upstream is there
 */
export const TAKING_MODES = ['store', 'forward', 'queue'] as const
export type TakingMode = (typeof TAKING_MODES)[number]

/** `deny`: refused, with the way out. */
export const PUSH_MODES = [...TAKING_MODES, 'deny'] as const
export type PushMode = (typeof PUSH_MODES)[number]

/** For `queue`: what to do when the upstream's tag moved between the push and its delivery. */
export const CONFLICT_CHOICES = ['park', 'overwrite'] as const
export type ConflictChoice = (typeof CONFLICT_CHOICES)[number]
