// Who of those that wait for a place comes next: clients in turn, and within one client in the
// order of coming. Neither time nor counts are kept here; waiting-room.ts has both.

export interface FairQueue<Entry> {
  readonly size: number
  /** At the end of its client's line; a client that had none comes last in the round. */
  add(client: string, entry: Entry): void
  /** No effect when it is not in the queue. */
  remove(client: string, entry: Entry): void
  /**
   * Takes the next one out: the first of the next client in the round. With more than one client
   * waiting, those of whom `isFull` says that they have their share already are passed over, unless
   * it says so of all. Undefined when nobody waits.
   */
  next(isFull: (client: string) => boolean): Entry | undefined
  /**
   * Takes out the one that came last of the client with the most, if that has more than one more
   * than `client`: who has little in here is not kept out by who has much.
   */
  displace(client: string): Entry | undefined
  /** All of them, in the order of clients, not of coming. */
  entries(): readonly (readonly [client: string, entry: Entry])[]
}

export function createFairQueue<Entry>(): FairQueue<Entry> {
  // Both keep the order in which things were put in; the client who was served is put in again.
  const lines = new Map<string, Set<Entry>>()
  let size = 0

  function take(client: string, entry: Entry): boolean {
    const line = lines.get(client)
    if (line?.delete(entry) !== true) return false
    if (line.size === 0) lines.delete(client)
    size -= 1
    return true
  }

  function nextClient(isFull: (client: string) => boolean): string | undefined {
    let first: string | undefined
    for (const client of lines.keys()) {
      first ??= client
      if (lines.size === 1 || !isFull(client)) return client
    }
    return first
  }

  return {
    get size() {
      return size
    },
    add(client, entry) {
      const line = lines.get(client)
      if (line === undefined) lines.set(client, new Set([entry]))
      else line.add(entry)
      size += 1
    },
    remove(client, entry) {
      take(client, entry)
    },
    next(isFull) {
      const client = nextClient(isFull)
      const line = client === undefined ? undefined : lines.get(client)
      if (client === undefined || line === undefined) return undefined
      const [entry] = line
      if (entry === undefined) return undefined
      take(client, entry)
      if (line.size > 0) {
        lines.delete(client)
        lines.set(client, line)
      }
      return entry
    },
    displace(client) {
      const own = lines.get(client)?.size ?? 0
      let longest: readonly [string, Set<Entry>] | undefined
      for (const each of lines) if (each[1].size > (longest?.[1].size ?? own + 1)) longest = each
      if (longest === undefined) return undefined
      const last = [...longest[1]].at(-1)
      if (last !== undefined) take(longest[0], last)
      return last
    },
    entries: () =>
      [...lines].flatMap(([client, line]) => [...line].map(entry => [client, entry] as const)),
  }
}
