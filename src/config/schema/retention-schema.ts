// The keys of `storage.retention`: what goes by itself from repositories that are kept here, in the
// words that zot's users know. What is odd between them is judged in build-retention.ts.
import { BOOLEAN, COUNT, DURATION, REPOSITORY_GLOB, TAG_GLOB } from '../formats/formats.ts'
import { group, groupsOf, optional, value, valuesOf } from './keys.ts'

/** More often would only read the same again. */
const SHORTEST_INTERVAL_MS = 60_000
const SHORTEST_AGE_MS = 60_000
/** Of one repository; more would hold all of any. */
const HIGHEST_COUNT = 100_000

const count = { atLeast: 1, atMost: HIGHEST_COUNT, reload: true }
const age = { atLeast: SHORTEST_AGE_MS, reload: true }

export const KEEP_LINE_KEYS = {
  patterns: valuesOf(TAG_GLOB, {
    description: 'Which tags the line is about; by itself, it keeps all of them. Empty: all tags.',
    default: [],
    reload: true,
  }),
  mostrecentlypushedcount: optional(
    value(COUNT, {
      as: 'mostRecentlyPushedCount',
      description: 'Keeps so many of them, those that were pushed last.',
      ...count,
    }),
  ),
  mostrecentlypulledcount: optional(
    value(COUNT, {
      as: 'mostRecentlyPulledCount',
      description: 'Keeps so many of them, those that were pulled last.',
      ...count,
    }),
  ),
  highestsemvercount: optional(
    value(COUNT, {
      as: 'highestSemverCount',
      description:
        'Keeps so many of them, those that are the highest semantic versions: `v1.10.0` is higher than `v1.9.1`, and than `v1.10.0-rc.1`.',
      ...count,
    }),
  ),
  pushedwithin: optional(
    value(DURATION, {
      as: 'pushedWithinMs',
      description: 'Keeps those that were pushed within this time.',
      ...age,
    }),
  ),
  pulledwithin: optional(
    value(DURATION, {
      as: 'pulledWithinMs',
      description: 'Keeps those that were pulled within this time, or pushed.',
      ...age,
    }),
  ),
}

export const POLICY_KEYS = {
  repositories: valuesOf(REPOSITORY_GLOB, {
    description:
      'Patterns over canonical repositories: `localhost/ci/**`. The first policy of which one matches decides, whatever it says.',
    default: [],
    reload: true,
  }),
  deleteuntagged: value(BOOLEAN, {
    as: 'deleteUntagged',
    description:
      'Manifests that no tag leads to any more go, after the delay. Children of an index and referrers stay with what they belong to.',
    default: 'true',
    reload: true,
  }),
  deletereferrers: value(BOOLEAN, {
    as: 'deleteReferrers',
    description:
      'So do referrers and signature tags of what is not in the repository. Those of what goes go with it in any case.',
    default: 'false',
    reload: true,
  }),
  keeptags: groupsOf(
    group(
      'Tags that stay: any condition of any line that is about a tag holds it.',
      KEEP_LINE_KEYS,
    ),
    {
      description:
        'Which tags stay, line by line; all others go. A tag stays if any condition of any line that is about it holds it. Without lines all tags stay.',
      default: [],
      reload: true,
    },
  ),
}

export const RETENTION_KEYS = {
  interval: value(DURATION, {
    as: 'intervalMs',
    description: 'How often the policies are applied.',
    default: '24h',
    atLeast: SHORTEST_INTERVAL_MS,
    reload: true,
  }),
  delay: value(DURATION, {
    as: 'delayMs',
    description: 'How long what no tag leads to stays after its last push or pull.',
    default: '24h',
    reload: true,
  }),
  dryrun: value(BOOLEAN, {
    as: 'dryRun',
    description: 'Only tells in the log what would go.',
    default: 'false',
    reload: true,
  }),
  policies: groupsOf(group('What stays of the repositories that a pattern matches.', POLICY_KEYS), {
    description:
      'What goes by itself of what was pushed here with `push: store`; without one, nothing does. The first that matches a repository decides.',
    default: [],
    reload: true,
  }),
}
