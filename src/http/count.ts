// A number that several threads may count together, so that a bound of the process is one bound
// however many of them serve.

export interface Count {
  /** Adds to this thread's part, and returns the sum of all. Who adds 0 looks. */
  add(by: number): number
}

/** One that no other thread counts. */
export function createCount(): Count {
  let sum = 0
  return {
    add(by) {
      sum += by
      return sum
    },
  }
}
