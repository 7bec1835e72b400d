// A catalog to which something happens right before it is asked for something: what comes between
// a choice and the write that carries it out.
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import { everyCall } from '../around.ts'

/** Runs `work`, once, before the first call of `name` for which it is `armed`. Default any. */
export function beforeCall(
  name: keyof Catalog,
  work: (catalog: Catalog) => Promise<unknown>,
  armed: () => boolean = () => true,
) {
  let isDone = false
  return (catalog: Catalog): Catalog =>
    everyCall(catalog, (call, args, called) => {
      if (called !== name || isDone || !armed()) return call(...args)
      isDone = true
      return work(catalog).then(() => call(...args))
    })
}
