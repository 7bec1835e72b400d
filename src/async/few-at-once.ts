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
  const failures: unknown[] = []
  let running = 0
  let tellEnd = () => {}
  // Not a race of all that run: each of them would keep every race until it ends.
  const oneEnds = () =>
    new Promise<void>(resolve => {
      tellEnd = resolve
    })
  const run = async (item: Item): Promise<void> => {
    running += 1
    try {
      await work(item)
    } catch (error) {
      failures.push(error)
    }
    running -= 1
    tellEnd()
  }
  try {
    for await (const item of items) {
      if (failures.length > 0) break
      void run(item)
      if (running >= atOnce) await oneEnds()
    }
  } catch (error) {
    failures.push(error)
  }
  while (running > 0) await oneEnds()
  if (failures.length > 0) throw failures[0]
}
