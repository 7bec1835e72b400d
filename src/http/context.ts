// What a handler is given: the parsed request, and where its name leads.
import type { Target } from '../oci/endpoint.ts'
import type { Registry, Routed } from '../registry/answers.ts'
import type { Exchange } from './exchange.ts'

export interface Context {
  readonly exchange: Exchange
  readonly registry: Registry
  readonly target: Target
  /** HEAD: the same headers as GET, and no body. */
  readonly headOnly: boolean
  /** Readable without credentials (R11). */
  readonly anonymously: boolean
}

/** For endpoints that carry a repository's name. */
export interface NamedContext extends Context {
  readonly routed: Routed
}
