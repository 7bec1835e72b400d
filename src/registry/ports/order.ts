// The order of pushes and deletes, which no wall clock decides: edges will have to agree on it. Of
// two by one edge the one with the higher number came later. Imports compare those that
// bundles bring (content/imported-tag.ts).

export interface Order {
  /** Whose number it is: the identity of the catalog under which it was told. */
  readonly edge: string
  /** Of that edge's sequence. */
  readonly number: number
}

/**
 * None is higher, as no edge has so many pushes: what says so is damaged, or meant to use up all
 * numbers that there are. As of bundles (bundle/inventory-lines.ts).
 */
export const ORDER_NUMBER_MAX = 2 ** 52

/** That is to be counted on from, if it is this edge's own; 0 for one that cannot be. */
export function countedNumber(order: Order | undefined): number {
  const number = order?.number ?? 0
  return number <= ORDER_NUMBER_MAX ? number : 0
}

/** Of what happens now. @throws StoreError when no number could be reserved */
export function nextOrder(catalog: { readonly identity: string; sequence(): number }): Order {
  return { edge: catalog.identity, number: catalog.sequence() }
}
