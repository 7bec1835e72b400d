// The keys of `storage`: where content is kept, how much of it, and what is done with it by itself.
import { BOOLEAN, BYTES, DURATION, PATH, SHARE, SIZE } from '../formats/formats.ts'
import { group, optional, value } from './keys.ts'
import { RETENTION_KEYS } from './retention-schema.ts'

/** A client that is slow between two pieces of one upload is no client that went away. */
const SHORTEST_PURGE_MS = 60_000
/** A client asks what is here, and sends what it lists a moment later. */
const SHORTEST_GRACE_MS = 10_000

/** One large blob would take days. */
const SLOWEST_SCRUB_BYTES = 64 * 1024

export const UPLOAD_PURGING_KEYS = {
  enabled: value(BOOLEAN, {
    description: 'Abandoned uploads are removed. Where there is no room some go in any case.',
    default: 'true',
    reload: true,
  }),
  age: value(DURATION, {
    as: 'ageMs',
    description:
      'How long after its last byte an upload counts as abandoned, in time in which the server ran.',
    default: '168h',
    atLeast: SHORTEST_PURGE_MS,
    reload: true,
  }),
  interval: value(DURATION, {
    as: 'intervalMs',
    description: 'How often they are looked for; the first time is soon after the start.',
    default: '24h',
    atLeast: SHORTEST_PURGE_MS,
    reload: true,
  }),
  dryrun: value(BOOLEAN, {
    as: 'dryRun',
    description: 'Only tells in the log what would be removed.',
    default: 'false',
    reload: true,
  }),
}

export const COLLECTION_KEYS = {
  delay: value(DURATION, {
    as: 'delayMs',
    description:
      'For how long nothing may need content before it is taken away; and for how long what a client that may push was told is here stays for its push. Time in which the server was off, or by which its clock was put ahead, does not count where it is a minute or more.',
    default: '1h',
    atLeast: SHORTEST_GRACE_MS,
    reload: true,
  }),
  interval: value(DURATION, {
    as: 'intervalMs',
    description:
      'How often that is looked for; the first time is soon after the start. What was deleted does not wait for it.',
    default: '1h',
    atLeast: SHORTEST_GRACE_MS,
    reload: true,
  }),
}

export const SCRUB_KEYS = {
  period: value(DURATION, {
    as: 'periodMs',
    description:
      'Within it every byte that is here is read once more and compared with its digest, the longest unread first. `0` or `forever`: only when an operator asks.',
    default: '7d',
    reload: true,
  }),
  rate: value(BYTES, {
    as: 'rateBytes',
    description:
      'How much of that is read in a second at most, by itself; what an operator asks for is read as fast as the disk gives it. Where it is too little for the period, that takes longer.',
    default: '64MiB',
    atLeast: SLOWEST_SCRUB_BYTES,
    reload: true,
  }),
}

export const STORAGE_KEYS = {
  rootdirectory: value(PATH, {
    as: 'rootDirectory',
    description: 'The data directory. A relative path starts at the working directory.',
    default: './data',
    reload: false,
  }),
  maxsize: value(SIZE, {
    as: 'maxSize',
    description:
      'What the data directory may take, all of it: a size, or a share of the file system that holds it. For what is pulled beyond it other content leaves; where none may, it is passed on and not kept, and pushes are refused.',
    default: '80%',
    reload: true,
  }),
  minfree: value(SIZE, {
    as: 'minFree',
    description:
      'What must stay free on that file system, because others use it, too: a size, or a share of it. The stricter of this and `maxsize` counts. Where it can hold so many files only, the same share of them stays free, at most 100,000.',
    default: '5%',
    reload: true,
  }),
  lowwater: value(SHARE, {
    as: 'lowWaterShare',
    description:
      'The share of `maxsize` down to which images leave when there is no room, those first that were used least and longest ago; and as much beyond `minfree` becomes free.',
    default: '95%',
    reload: true,
  }),
}

export const STORAGE = group('Where content is kept, and how much of it.', {
  ...STORAGE_KEYS,
  redirect: group('Sending clients elsewhere for blobs.', {
    disable: value(BOOLEAN, {
      description:
        'Blobs are always sent from here. Without effect in this version: files have no address of their own.',
      default: 'true',
      reload: false,
    }),
  }),
  delete: group('Whether clients may delete what is here.', {
    enabled: optional(
      value(BOOLEAN, {
        description:
          'Tags, manifests and blobs may be deleted by those who may push, where `repositories` says nothing else. A delete never reaches an upstream.',
        defaultText: '`true` under `localhost`, `false` elsewhere',
        reload: true,
      }),
    ),
  }),
  gc: group(
    'Taking away what nothing needs any more: what was deleted, above all.',
    COLLECTION_KEYS,
  ),
  scrub: group(
    'Reading what is here once more, since a disk changes bytes and says nothing.',
    SCRUB_KEYS,
  ),
  retention: group(
    'What goes by itself of what was pushed here for good; operations.md, "Retention", has examples.',
    RETENTION_KEYS,
  ),
  maintenance: group('What is done by itself from time to time.', {
    uploadpurging: group(
      'Removing uploads that clients began and never finished.',
      UPLOAD_PURGING_KEYS,
    ),
  }),
})
