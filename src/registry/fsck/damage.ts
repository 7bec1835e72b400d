// What can be wrong with a data directory: the one table of kinds, what each means to whoever runs
// the edge, and the way out. Their order is that in which they are told.

/**
 * Who puts it right.
 * - `repair`: `--repair` does, as the next start or a scrub would
 * - `operator`: nobody else can
 * - `nobody`: it is no damage, and told so that nobody wonders
 */
export type Mender = 'repair' | 'operator' | 'nobody'

interface KindOfDamage {
  readonly means: string
  readonly way: string
  readonly mender: Mender
}

const AGAIN = 'push the image again, import its bundle again, or bring the file back from a backup'
const REBUILD =
  'with the server stopped, move catalog.db away, with catalog.db-wal and -shm: the next start builds a new one from facts/'
const REPAIR = '--repair does it, and so does the server'

export const DAMAGES = {
  'catalog damaged': {
    means: 'the catalog does not hold together',
    way: 'the next start, or --repair, moves it aside and builds a new one from facts/',
    mender: 'repair',
  },
  'catalog inconsistent': {
    means: 'the catalog says two things at once',
    way: REBUILD,
    mender: 'operator',
  },
  'catalog refused': {
    means: 'this version of the program cannot use the catalog',
    way: 'do as it says',
    mender: 'operator',
  },
  'catalog missing': {
    means: 'there is content and no catalog',
    way: 'the next start, or --repair, builds one from facts/; what was pulled is found again as it is pulled',
    mender: 'repair',
  },
  'kept missing': {
    means: 'what was pushed or imported is not here any more',
    way: AGAIN,
    mender: 'operator',
  },
  'image broken': {
    means: 'a pushed or imported image lists what is not here',
    way: AGAIN,
    mender: 'operator',
  },
  'wrong bytes': {
    means: 'the bytes are not those of the digest',
    way: `--repair and scrubs put them out of the way, and fetch what an upstream has; else ${AGAIN}`,
    mender: 'repair',
  },
  'wrong size': {
    means: 'the file has another length than the catalog says',
    way: '--repair, or whoever asks for it, reads it: what is wrong goes to quarantine/, what is right mends the row',
    mender: 'repair',
  },
  'not a file': {
    means: 'something else has the name of a file',
    way: 'remove it; a start follows no link',
    mender: 'operator',
  },
  unreadable: {
    means: 'the disk cannot look at it or read it',
    way: 'check disk and file system',
    mender: 'operator',
  },
  forbidden: {
    means: 'its mode keeps the server from reading it',
    way: '--repair and scrubs put it right',
    mender: 'repair',
  },
  mode: {
    means: 'its mode lets others in, or is not what the server gives',
    way: 'chmod it to what is said there',
    mender: 'operator',
  },
  owner: {
    means: 'it belongs to another user than the directory',
    way: 'chown it to the user that the server runs as',
    mender: 'operator',
  },
  'fact unreadable': {
    means: 'a fact that says what was pushed cannot be read',
    way: 'where the catalog is whole, remove the file and run --repair, which writes it anew; else push again what is missing',
    mender: 'operator',
  },
  'fact missing': {
    means: 'what was pushed has no fact beside it: a lost catalog could not be built with it',
    way: `${REPAIR} at its next start after a kill`,
    mender: 'repair',
  },
  'manifest without fact': {
    means: 'a pushed manifest without a tag has no fact beside it',
    way: 'push it again by its digest',
    mender: 'operator',
  },
  'fact contradicts': {
    means: 'a fact says something else than the catalog, which is right',
    way: `${REPAIR} at its next start after a kill`,
    mender: 'repair',
  },
  'fact not learned': {
    means: 'a fact from before the catalog was lost, which that does not know since bytes are gone',
    way: AGAIN,
    mender: 'operator',
  },
  'cached missing': {
    means: 'what was pulled is not here any more',
    way: 'nothing: it is fetched when it is next asked for; --repair forgets it now',
    mender: 'repair',
  },
  'file without row': {
    means: 'a file that the catalog does not know',
    way: '--repair and the server give it a row, as content of nobody that leaves when there is no room',
    mender: 'repair',
  },
  'part of no use': {
    means: 'the beginning of a download that cannot be gone on with',
    way: 'the next start, or --repair, removes it; the download begins anew',
    mender: 'repair',
  },
  'upload of no use': {
    means: 'an upload that cannot be gone on with',
    way: 'the next start, or --repair, removes it; its client begins anew',
    mender: 'repair',
  },
  leftover: {
    means: 'what a killed process left',
    way: 'the next start, or --repair, removes it',
    mender: 'nobody',
  },
  strange: {
    means: 'a name that is not of an edge',
    way: 'the server leaves it alone; remove it if it is not yours',
    mender: 'nobody',
  },
  'damaged predecessor': {
    means: 'a catalog that did not hold together, kept to be looked at',
    way: 'check the disk, then remove it',
    mender: 'nobody',
  },
  quarantined: {
    means: 'content that was not what its digest says, kept to be looked at',
    way: 'check the disk; what was pushed is named by a scrub',
    mender: 'nobody',
  },
  'cached images incomplete': {
    means: 'pulled images of which not all is here',
    way: 'nothing: what is missing is fetched when it is asked for',
    mender: 'nobody',
  },
} as const satisfies Readonly<Record<string, KindOfDamage>>

export type DamageKind = keyof typeof DAMAGES

export interface Damage {
  readonly kind: DamageKind
  /** A digest, an image, or a path below the data directory. */
  readonly what: string
  readonly detail: string
}

export function menderOf(kind: DamageKind): Mender {
  return DAMAGES[kind].mender
}
