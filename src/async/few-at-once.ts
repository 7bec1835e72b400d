// Work on many things, a few at a time: each look at the disk is an open file, each question to an
// upstream a connection.

/**
 * What `work` makes of each item, in their order. The first failure is thrown, and nothing further
 * is begun.
 */
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

/**
 * `work` on each item as it comes: the next is begun as soon as any has ended. The first failure,
 * also of `items` itself, is thrown once all have.
 */
export async function eachFew<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  try {
    for await (const item of items) {
      if (failures.length > 0) break
      const mine = work(item)
        .catch((error: unknown) => void failures.push(error))
        .finally(() => running.delete(mine))
      running.add(mine)
      if (running.size >= atOnce) await Promise.race(running)
    }
  } catch (error) {
    failures.push(error)
  }
  await Promise.all(running)
  if (failures.length > 0) throw failures[0]
}
