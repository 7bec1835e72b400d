// Group commit: whatever waits is one transaction, so that many writes share one fsync. One bad
// operation costs the others nothing: the batch is then carried out again, each operation on its
// own.
import type { Database } from 'better-sqlite3'
import type { StoreErrorValue } from '../../../registry/ports/store-error.ts'
import { faultOf, isOperationFault } from '../faults.ts'
import { type Operation, prepareOperations } from '../operations.ts'
import { NO_RESTS, type Rests } from './rests.ts'

/** What became of one operation: without a fault it is durable, and has that result. */
export type OperationOutcome =
  | { readonly fault: StoreErrorValue }
  | { readonly fault?: undefined; readonly result: unknown }

/** Of each operation, in order. */
export type Outcomes = readonly OperationOutcome[]

/** Returns what commits a batch on `database`. It does not throw. */
export function prepareBatches(
  database: Database,
  rests: Rests = NO_RESTS,
): (operations: readonly Operation[]) => Outcomes {
  const apply = prepareOperations(database, () => rests.between())
  const commit = database.transaction((operations: readonly Operation[]) =>
    operations.map((operation): OperationOutcome => ({ result: apply(operation) })),
  )

  return operations => {
    rests.begin()
    try {
      return commit.immediate(operations)
    } catch (error) {
      // A disk that failed or is full is not asked again: a failed fsync must never be retried as
      // if it could succeed.
      if (!isOperationFault(error)) return operations.map(() => ({ fault: faultOf(error) }))
      if (operations.length === 1) return [{ fault: faultOf(error) }]
    }
    return operations.flatMap(operation => {
      try {
        return commit.immediate([operation])
      } catch (error) {
        return { fault: faultOf(error) }
      }
    })
  }
}
