// Chance that can be repeated: everything random in the fault suites comes from one seed, which the
// suite prints.

export interface Random {
  /** From 0 up to, not including, `limit`. */
  below(limit: number): number
  /** Both ends included. */
  between(first: number, last: number): number
  pick<T>(values: readonly [T, ...T[]]): T
  /** True once in `times`. */
  oneIn(times: number): boolean
}

/** mulberry32: small, fast, and the same numbers everywhere; not for secrets. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit)
  }
  return {
    below,
    between: (first, last) => first + below(last - first + 1),
    pick: values => values[below(values.length)] ?? values[0],
    oneIn: times => below(times) === 0,
  }
}

/** Always 1 unless the environment's SEED says otherwise: a number, or `random` for a new one. */
export function seedOf(environment: Readonly<Record<string, string | undefined>>): number {
  const given = environment['SEED']
  if (given === 'random') return Math.floor(Math.random() * 2 ** 31)
  return Number(given ?? '1')
}
