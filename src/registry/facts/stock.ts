// Whether the catalog knows all that facts tell of. It does not while bytes or a fact of what was
// pushed are lost, nor after an end out of order until the two were compared.

export interface Stock {
  readonly isAllFound: boolean
  /**
   * Manifests, tags and queued pushes that facts tell of and the catalog does not know, and facts
   * that cannot be read, as the last look found. Undefined until there was one.
   */
  readonly lost: number | undefined
  /**
   * Something that is lost was given up, and may have been all of it. Returns at once; what is held
   * for what is lost is not held any more once that is known. MUST NOT throw.
   */
  lookAgain(): void
}
