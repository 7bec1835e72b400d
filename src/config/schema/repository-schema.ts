// The keys of one rule of `repositories`: what clients may do with a repository beyond pulling it.
import { BOOLEAN, REPOSITORY_GLOB, TAG_GLOB } from '../formats/formats.ts'
import { CONFLICT, PUSH_MODE } from '../formats/word-formats.ts'
import { QUOTA } from './quota-schema.ts'
import { group, groupsOf, optional, value, valuesOf } from './keys.ts'

export const RULE_KEYS = {
  match: value(REPOSITORY_GLOB, {
    description:
      'Pattern over canonical repositories, `host/name`: `registry.example.com/team/**`. Quote it when it begins with `*`.',
    reload: true,
  }),
  push: value(PUSH_MODE, {
    description:
      'What becomes of a push: `store` keeps it here for good; `forward` sends it to the upstream while the client waits; `queue` acknowledges it once it is durable here and delivers it when the upstream is there; `deny` refuses it.',
    default: 'deny',
    reload: true,
  }),
  sparse: value(BOOLEAN, {
    description: 'Manifests are taken although what they list is not here.',
    default: 'false',
    reload: true,
  }),
  delete: optional(
    value(BOOLEAN, {
      as: 'deletable',
      description:
        'Tags, manifests and blobs may be deleted, at this edge and not at the upstream.',
      defaultText: '`storage.delete.enabled`',
      reload: true,
    }),
  ),
  immutable: valuesOf(TAG_GLOB, {
    description:
      'Patterns of tags that no client moves or deletes once they are there: a push of another manifest is refused, one of the same is fine. `["*"]`: all.',
    default: [],
    reload: true,
  }),
  quota: QUOTA,
  onconflict: value(CONFLICT, {
    as: 'onConflict',
    description:
      'For `queue`: what happens when the tag at the upstream is not where it was known to be at the push. `park` keeps both and waits for the operator, `overwrite` lets the push win, but for `immutable` tags.',
    default: 'park',
    reload: true,
  }),
}

export const REPOSITORY_RULES = groupsOf(
  group('What may be done with the repositories that a pattern matches.', RULE_KEYS),
  {
    description:
      'What may be pushed and deleted; the first match wins. After these come `localhost/**` with `push: store` and `**` with `push: deny`.',
    default: [],
    reload: true,
  },
)
