// The order of pushes and deletes, which no wall clock decides: edges will have to agree on it. Of
// two by one edge the one with the higher number came later. Imports compare those that
// bundles bring (content/imported-tag.ts).

export interface Order {
  /** Whose number it is: the identity of the catalog under which it was told. */
  readonly edge: string
  /** Of that edge's sequence. */
  readonly number: number
}

/** Of what happens now. @throws StoreError when no number could be reserved */
export function nextOrder(catalog: { readonly identity: string; sequence(): number }): Order {
  return { edge: catalog.identity, number: catalog.sequence() }
}
