// What stands before a port, so that a test counts, holds back or fails some of its calls. The port
// itself stays as it is: what it asks of itself does not come by.
import type { BlobStore } from '../../src/registry/ports/blob-store.ts'
import type { FillFile } from '../../src/registry/ports/blob-store-fills.ts'

/** Of each call that is to be another one: what is called in its place, made of it. */
type Calls<Port> = { readonly [Name in keyof Port]?: (call: Port[Name]) => Port[Name] }

/** `port` with `calls`, and all the others as they are. */
export function around<Port extends object>(port: Port, calls: Calls<Port>): Port {
  const made = new Map<string | symbol, unknown>()
  for (const [name, make] of Object.entries(calls) as [string, (call: unknown) => unknown][])
    made.set(name, make(boundTo(port, name)))
  return new Proxy(port, { get: (_, name) => made.get(name) ?? boundTo(port, name) })
}

/** The same store; `calls` are those of its fills. */
export function aroundFills(store: BlobStore, calls: Calls<FillFile>): BlobStore {
  return around(store, {
    openFill:
      openFill =>
      async (...args) =>
        around(await openFill(...args), calls),
  })
}

type Call = (...args: readonly unknown[]) => unknown

/** `port`, each call of which `through` makes, or answers in its place. */
export function everyCall<Port extends object>(
  port: Port,
  through: (call: Call, args: readonly unknown[], name: string) => unknown,
): Port {
  return new Proxy(port, {
    get: (_, name) => {
      const call = boundTo(port, name)
      if (typeof call !== 'function') return call
      return (...args: readonly unknown[]) => through(call as Call, args, String(name))
    },
  })
}

function boundTo(port: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(port, name, port)
  return typeof value === 'function' ? (value.bind(port) as unknown) : value
}
