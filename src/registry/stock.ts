// Whether the catalog knows all that facts tell of. It does not while bytes or a fact of what was
// pushed are lost, nor after an end out of order until the two were compared.

export interface Stock {
  readonly isAllFound: boolean
  /**
   * Something that is lost was given up, and may have been all of it. Returns at once; what is held
   * for what is lost is not held any more once that is known. MUST NOT throw.
   */
  lookAgain(): void
}
