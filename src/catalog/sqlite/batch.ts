// Group commit: whatever waits is one transaction, so that many writes share one fsync. One bad
// operation costs the others nothing: the batch is then carried out again, each operation on its
// own.
import type { Database } from 'better-sqlite3'
import type { StoreErrorValue } from '../../registry/ports/store-error.ts'
import { faultOf, isOperationFault } from './faults.ts'
import { type Operation, prepareOperations } from './operations.ts'

/** What became of each operation, in order; undefined is success, and success is durable. */
export type Outcomes = readonly (StoreErrorValue | undefined)[]

/** Returns what commits a batch on `database`. It does not throw. */
export function prepareBatches(database: Database): (operations: readonly Operation[]) => Outcomes {
  const apply = prepareOperations(database)
  const commit = database.transaction((operations: readonly Operation[]) => {
    for (const operation of operations) apply(operation)
  })

  return operations => {
    try {
      commit.immediate(operations)
      return operations.map(() => undefined)
    } catch (error) {
      // A disk that failed or is full is not asked again: a failed fsync must never be retried as
      // if it could succeed.
      if (!isOperationFault(error)) return operations.map(() => faultOf(error))
      if (operations.length === 1) return [faultOf(error)]
    }
    return operations.map(operation => {
      try {
        commit.immediate([operation])
        return undefined
      } catch (error) {
        return faultOf(error)
      }
    })
  }
}
