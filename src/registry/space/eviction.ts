// How the ledger has content leave that can be fetched again. What goes, and in which order, is for
// whoever implements it.
import type { Repository } from '../../oci/reference.ts'
import type { FilesWanted } from './file-room.ts'

export interface RoomByEviction {
  /**
   * A run that lets content leave: resolves, and never rejects, once the files of all that it has
   * let go are gone. Undefined where there is none.
   */
  readonly underWay: Promise<void> | undefined
  /**
   * Lets so many bytes of the disk become free, or as many as can, and tells how many did: none of
   * them before their files are gone. MUST NOT reject. Once `signal` aborts it SHOULD end soon; its
   * caller does not wait for that. May run several times at once. `of`: for whom. Where a client
   * waits, its caller makes haste (async/haste.ts).
   */
  makeRoom(bytes: number, signal: AbortSignal, of?: Repository): Promise<number>
  /**
   * The same of files. What takes the most of them for the fewest bytes leaves first: whoever has
   * very many small things takes no large ones from others. Tells how many bytes became free.
   */
  makeFiles(wanted: FilesWanted, signal: AbortSignal): Promise<number>
  /**
   * So much could leave at this moment, about, for somebody or for `of`. Asked when there is no
   * room, and before content is fetched ahead: MUST NOT cost more than a look into the catalog.
   * @throws StoreError
   */
  evictableBytes(of?: Repository): Promise<number>
  /**
   * Would `makeRoom` of so much succeed now? As sure as can be without letting anything leave; an
   * answer may be some seconds old. Asked where the catalog says that there is enough, before
   * something large is begun. Those that ask at once SHOULD share a look. Once `signal` aborts
   * nobody waits for the answer: a look that is begun may go on, for whoever asks next.
   * @throws StoreError
   */
  couldMake(bytes: number, signal: AbortSignal, of?: Repository): Promise<boolean>
  /** Told when somebody got no room, and nobody else's claims are why. MUST NOT throw. */
  refused(): void
}

/** Where nothing ever leaves. */
export const NO_EVICTION: RoomByEviction = {
  underWay: undefined,
  makeRoom: () => Promise.resolve(0),
  makeFiles: () => Promise.resolve(0),
  evictableBytes: () => Promise.resolve(0),
  couldMake: () => Promise.resolve(false),
  refused: () => {},
}
