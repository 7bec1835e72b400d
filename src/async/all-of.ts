/** Throws the first failure, and not before all have ended. */
export async function allOf(all: readonly Promise<void>[]): Promise<void> {
  for (const each of await Promise.allSettled(all))
    if (each.status === 'rejected') throw each.reason
}
