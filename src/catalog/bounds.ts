// Limits that every implementation of the catalog port shares.

/**
 * Referrers that one answer may hold: an image index of 4 MiB lists no more, and a reader of one list must not keep the
 * thread busy for longer than a few milliseconds.
 */
export const MAX_REFERRERS = 10_000
