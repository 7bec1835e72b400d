// A catalog to which something happens right before it is asked for something: what comes between
// a choice and the write that carries it out.
import type { Catalog } from '../../../src/registry/ports/catalog.ts'

/** Runs `work`, once, before the first call of `name` for which it is `armed`. Default any. */
export function beforeCall(
  name: keyof Catalog,
  work: (catalog: Catalog) => Promise<unknown>,
  armed: () => boolean = () => true,
) {
  let isDone = false
  return (catalog: Catalog): Catalog =>
    new Proxy(catalog, {
      get: (target, called) => {
        const value: unknown = Reflect.get(target, called, target)
        if (typeof value !== 'function') return value
        const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args)
        if (called !== name) return call
        return async (...args: unknown[]) => {
          if (!isDone && armed()) {
            isDone = true
            await work(target)
          }
          return call(...args)
        }
      },
    })
}
