// How much of the room an upstream, or repositories that a pattern matches, may have
// (docs/adr/0034-quotas.md).

/** Bytes, or a share; of what, says who has it. */
export type Amount =
  | { readonly kind: 'bytes'; readonly bytes: number }
  | { readonly kind: 'share'; readonly share: number }

/** Shares are of what the data directory may take. */
export interface Quota {
  /** What is above it leaves first. Default none. */
  readonly ceiling?: Amount | undefined
  /** What would go below it is passed over when others need room. Default nothing. */
  readonly floor?: Amount | undefined
}
