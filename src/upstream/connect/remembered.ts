// A map that forgets what was used least recently when it is full.

export interface Remembered<T> {
  get(key: string): T | undefined
  set(key: string, value: T): void
  delete(key: string): void
  entries(): Iterable<readonly [string, T]>
}

export function createRemembered<T>(maxEntries: number): Remembered<T> {
  const map = new Map<string, T>()
  return {
    get: key => {
      const value = map.get(key)
      if (value !== undefined) {
        map.delete(key)
        map.set(key, value)
      }
      return value
    },
    set: (key, value) => {
      map.delete(key)
      map.set(key, value)
      if (map.size <= maxEntries) return
      const oldest = map.keys().next()
      if (oldest.done !== true) map.delete(oldest.value)
    },
    delete: key => {
      map.delete(key)
    },
    entries: () => map.entries(),
  }
}
