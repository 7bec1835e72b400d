// The port to kept facts: what clients were told is kept, written beside the content so that a lost
// catalog loses none of it (which tag points where, which manifest belongs to which repository,
// what is still to be delivered, what was deleted). The catalog is right while it lives; this is
// what it is built from again when it does not, and is compared with it after a start.
import type { Digest } from '../../oci/digest.ts'
import type { RepositoryKey, Tag } from '../../oci/reference.ts'
import type { Order } from './order.ts'
import type { NewDelivery } from './outbox.ts'

/** What makes a fact the same fact: a later one with the same identity takes its place. */
export type FactIdentity =
  | {
      readonly kind: 'manifest'
      readonly repository: RepositoryKey
      readonly digest: Digest
    }
  | { readonly kind: 'tag'; readonly repository: RepositoryKey; readonly tag: Tag }
  /**
   * Content that is not in a repository although a manifest there may list it: it was taken out, or
   * only listed by who pushed that.
   */
  | { readonly kind: 'deleted'; readonly repository: RepositoryKey; readonly digest: Digest }
  | { readonly kind: 'delivery'; readonly id: number }

export type Fact =
  | {
      readonly kind: 'manifest'
      readonly repository: RepositoryKey
      readonly digest: Digest
      readonly mediaType: string
      readonly atMs: number
      /** It is held as `imported`. */
      readonly imported?: true
      /**
       * Of the foreign layers that it lists, these were in the repository when the fact was
       * written: FOREIGN_NAMED_MAX at most. Not there when it lists nothing such, and in facts of
       * earlier versions, which have a tombstone for each that was not. Also of what a manifest
       * names that is not understood, of which facts of earlier versions say nothing.
       */
      readonly foreign?: readonly Digest[]
      /**
       * Instead of `foreign`, where more were in the repository than that can name: of the foreign
       * layers all but these, FOREIGN_NAMED_MAX at most.
       */
      readonly absent?: readonly Digest[]
    }
  | {
      readonly kind: 'tag'
      readonly repository: RepositoryKey
      readonly tag: Tag
      readonly digest: Digest
      readonly atMs: number
      /** Not there in facts of earlier versions. Of an imported one it may be any edge's. */
      readonly order?: Order
      /** A bundle pointed it here, and an upstream may have said otherwise since. */
      readonly imported?: true
    }
  | {
      readonly kind: 'deleted'
      readonly repository: RepositoryKey
      readonly digest: Digest
      readonly atMs: number
      /** Of the delete; not there when nothing was deleted, and in facts of earlier versions. */
      readonly order?: Order
    }
  | ({ readonly kind: 'delivery' } & NewDelivery)

/**
 * Four times the layers that container tools allow; as long as any digest is, they fit into a fact.
 */
export const FOREIGN_NAMED_MAX = 500

/** As it lies there. */
export type ListedFact = Fact & {
  /**
   * It was told under a catalog that is lost by now, or nobody knows under which: this one may
   * never have learned of it.
   */
  readonly isEarlier?: true
}

export interface FactOptions {
  /**
   * It is for a delete, or puts back what a failed change was about: on a full disk it SHOULD have
   * room that nothing else has, since a delete is how room is made. Default false.
   */
  readonly takesAway?: boolean
}

/** Of one catalog, whose identity is written into each fact. */
export interface FactStore {
  /**
   * How many changes could not be carried out, and facts not be read when they were listed, since
   * the start, each time anew: by each the facts and the catalog may say different things.
   */
  readonly failures: number
  /**
   * Writes all of them; each takes the place of the one with its identity, whole or not at all. One
   * that `isEarlier` is so afterwards: it is put back.
   * Durable when it resolves: file fsync, rename, fsync of the directory. Never retries an fsync.
   * Calls that overlap MUST leave, for each identity, the fact of the call that was made last.
   * @throws StoreError full, io: then any of them may or may not be written
   */
  write(facts: readonly ListedFact[], options?: FactOptions): Promise<void>
  /**
   * Removes them, durably. No effect for those that are not there. Ordered with `write` as that is.
   * @throws StoreError io
   */
  remove(identities: readonly FactIdentity[]): Promise<void>
  /**
   * Whether there is one, whatever it says and whether or not it can be read.
   * @throws StoreError io
   */
  has(identity: FactIdentity): Promise<boolean>
  /**
   * What it says; `unreadable` when it is there and says nothing that can be understood, which
   * `list` notes.
   * @throws StoreError io
   */
  find(identity: FactIdentity): Promise<ListedFact | 'unreadable' | undefined>
  /**
   * Every fact, in no order; `unreadable` for each that cannot be read, which stays and is told by
   * an event as well.
   * @throws StoreError io
   */
  list(): AsyncIterable<ListedFact | 'unreadable'>
}
