// A real client that pulls whole images into a store of its own, which starts empty of them: every
// pull is of an image that is new.
export interface PullClient {
  readonly name: string
  /**
   * In a directory of its own with a short name.
   * @throws Error when it is not installed or does not start
   */
  start(directory: string): Promise<RunningClient>
}

export interface RunningClient {
  /** @throws Error when the pull fails */
  pull(image: WantedImage): Promise<PullTimes>
  stop(): Promise<void>
}

export interface WantedImage {
  /** Host and port of who is asked, over plain HTTP. */
  readonly authority: string
  readonly repository: string
  readonly tag: string
  /** Config and layers. */
  readonly blobs: readonly string[]
}

export interface PullTimes {
  /** From the start of the pull until the client has the last blob. */
  readonly downloadSeconds: number
  /** Until it says that the pull is done: with unpacking, as far as it unpacks. */
  readonly wholeSeconds: number
}

export function referenceOf({ authority, repository, tag }: WantedImage): string {
  return `${authority}/${repository}:${tag}`
}

export function secondsSince(startMs: number): number {
  return (performance.now() - startMs) / 1000
}
