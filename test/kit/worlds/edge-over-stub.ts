// The usual pair of protocol tests: a counting stub registry with one repository, and the whole
// edge before it.
import { startTestEdge, type TestEdge, type TestEdgeOptions } from '../edge.ts'
import type { Image } from '../image.ts'
import { startStub, type StubOptions, type StubRegistry } from '../stubs/stub-registry.ts'

interface Teardown {
  teardown(fn: () => unknown): unknown
}

export interface Pair {
  readonly stub: StubRegistry
  readonly edge: TestEdge
}

export interface PairOptions {
  /** By tag, in `library/app`. */
  readonly images?: Readonly<Record<string, Image>>
  /** Over the upstream's entry in the configuration. */
  readonly entry?: Readonly<Record<string, unknown>>
  readonly stub?: StubOptions
  readonly edge?: Partial<TestEdgeOptions>
}

/** Both stopped when the test ends. The upstream is docker.io, so that plain names lead to it. */
export async function startPair(t: Teardown, options: PairOptions = {}): Promise<Pair> {
  const stub = await startStub(t, options.stub)
  for (const [tag, image] of Object.entries(options.images ?? {})) {
    stub.addImage('library/app', tag, image)
  }
  const upstreams = { 'docker.io': { url: stub.url, ...options.entry } }
  const edge = await startTestEdge(t, { upstreams, ...options.edge })
  return { stub, edge }
}

export const MANIFESTS = '/v2/library/app/manifests'
export const BLOBS = '/v2/library/app/blobs'
