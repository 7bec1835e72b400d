// The bench's side of the upstream process: calls that are answered one after another, and its end.
import type { RequestMatch } from '../test/kit/stubs/stub-requests.ts'
import type { Fault } from '../test/kit/stubs/stub-faults.ts'
import { forkWorker } from './worker.ts'
import type { AddedImage, AddImage, Counts, StubKind, UpstreamCall } from './upstream-process.ts'

export interface Upstream {
  readonly url: string
  /** What is held under the same repository and tag moves. */
  addImage(image: AddImage): Promise<AddedImage>
  /** Lets go of blobs, and of the memory that they take. */
  forget(repository: string, digests: readonly string[]): Promise<void>
  deleteTag(repository: string, tag: string): Promise<void>
  fault(match: RequestMatch, fault: Fault): Promise<void>
  clearFaults(): Promise<void>
  clearCounts(): Promise<void>
  count(match: RequestMatch): Promise<Counts>
  stop(): Promise<void>
}

/** Default: no tokens, no TLS, no second host, on a port that the kernel chooses. */
export interface UpstreamOptions extends Partial<StubKind> {
  /** As forkWorker has it. */
  readonly enter?: readonly string[]
}

/** Listens on 127.0.0.1. */
export async function startUpstream(options: UpstreamOptions = {}): Promise<Upstream> {
  const { enter = [], port = 0, tokens = false, ...other } = options
  const kind: StubKind = { port, tokens, ...other }
  const worker = forkWorker('./upstream-process.ts', [JSON.stringify(kind)], enter)
  const url = (await worker.first) as string
  const call = (message: UpstreamCall) => worker.call(message)
  return {
    url,
    addImage: async image => (await call({ call: 'addImage', image })) as AddedImage,
    forget: async (repository, digests) =>
      void (await call({ call: 'forget', repository, digests })),
    deleteTag: async (repository, tag) => void (await call({ call: 'deleteTag', repository, tag })),
    fault: async (match, fault) => void (await call({ call: 'fault', match, fault })),
    clearFaults: async () => void (await call({ call: 'clearFaults' })),
    clearCounts: async () => void (await call({ call: 'clearCounts' })),
    count: async match => (await call({ call: 'count', match })) as Counts,
    stop: () => worker.stop(),
  }
}
