// What the matrix wants of a client: pull through an edge, say what it got, forget it, and be
// killed in the middle.

/** Where the edge listens, and how this run spells names at it. */
export interface EdgeAddress {
  /** `127.0.0.1:PORT` */
  readonly authority: string
  /**
   * `plain`: the edge stands in for Docker Hub, names carry no namespace. `path`: the namespace is
   * in the path.
   */
  readonly shape: Shape
  /**
   * A directory whose `ca.crt` has signed the certificate of the edge; undefined: the edge speaks
   * plain HTTP.
   */
  readonly certificates?: string
}

/** `https://127.0.0.1:PORT` */
export function edgeUrl({ authority, certificates }: EdgeAddress): string {
  return `${certificates === undefined ? 'http' : 'https'}://${authority}`
}

export type Shape = 'plain' | 'path'

export interface PullRequest {
  /** In Docker Hub: `library/x`. */
  readonly name: string
  /** A tag or a digest. */
  readonly reference: string
  /** Default amd64. */
  readonly architecture?: string
}

export interface Pulled {
  /**
   * What the client says the reference stood for: of an index, and of the manifest below it, if it
   * tells both.
   */
  readonly resolved: readonly string[]
  /**
   * Digests of configs, layers and manifests that the client holds after the pull; as many as it
   * lets one see.
   */
  readonly holds: ReadonlySet<string>
}

/** One real client over a store of its own. Calls do not overlap, but for `kill` during `pull`. */
export interface ClientDriver {
  readonly name: string
  /** It can only be told of an edge without a path: `start` wants the `plain` shape. */
  readonly plainOnly?: boolean
  /** Configures it for `edge` and brings it up. */
  start(edge: EdgeAddress): Promise<void>
  /** @throws Error with what the client wrote. */
  pull(request: PullRequest): Promise<Pulled>
  /** Forgets all content, so that the next pull asks for every byte again. */
  emptyStore(): Promise<void>
  /** kill -9 of everything that takes part in a pull; a running `pull` rejects. */
  kill(): Promise<void>
  /** Up again after `kill`, over the same store. No effect when it is up. */
  revive(): Promise<void>
  stop(): Promise<void>
}

/** `name:tag` or `name@digest`. */
export function referenceOf({ name, reference }: PullRequest): string {
  return `${name}${reference.includes(':') ? '@' : ':'}${reference}`
}
