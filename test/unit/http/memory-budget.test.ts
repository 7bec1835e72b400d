// Goal: memory that is promised is bounded, for all and for each client, and comes back. Method: promises held open by the test.
import t from 'tap'
import { createMemoryBudget } from '../../../src/http/memory-budget.ts'
import { RegistryError } from '../../../src/oci/errors.ts'

// issue 17, 25
t.test(
  'R274: a client has its share, all have no more than there is, and both come back',
  async t => {
    const memory = createMemoryBudget({ maxBytes: 100, clientMaxBytes: 40 })
    const over = Promise.withResolvers<void>()
    const hold = (client: string, bytes: number) => memory.hold(client, bytes, () => over.promise)
    const running = [hold('a', 40), hold('b', 40)]
    await t.rejects(hold('a', 1), RegistryError, 'more than its share')
    await t.rejects(hold('c', 21), RegistryError, 'more than is left')
    running.push(hold('c', 20))
    over.resolve()
    await Promise.all(running)
    await hold('a', 40)
    await t.rejects(
      memory.hold('a', 1, () => Promise.reject(new TypeError('of the work'))),
      TypeError,
    )
    await hold('a', 40)
  },
)
