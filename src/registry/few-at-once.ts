// Work on many things, a few at a time: each look at the disk is an open file, each question to an upstream a connection.

/** What `work` makes of each item, in their order. The first failure is thrown, and nothing further is begun. */
export async function mapFew<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  for (let at = 0; at < items.length; at += atOnce)
    results.push(...(await Promise.all(items.slice(at, at + atOnce).map(work))))
  return results
}

/** The items that `test` is true of, in their order. */
export async function filterFew<Item>(
  items: readonly Item[],
  atOnce: number,
  test: (item: Item) => Promise<boolean>,
): Promise<Item[]> {
  const passed = await mapFew(items, atOnce, test)
  return items.filter((_, at) => passed[at])
}
