// The keys of one rule of `access`: who may do what with which repositories.
import { REPOSITORY_GLOB, TAG_GLOB } from '../formats/formats.ts'
import { group, groupsOf, value, valuesOf } from './keys.ts'
import { MEANINGS_OF_WHO, WHO } from '../formats/who.ts'
import { RIGHT } from '../formats/word-formats.ts'

export const ACCESS_KEYS = {
  who: value(WHO, {
    description: `Whom the rule is about: ${MEANINGS_OF_WHO}, without accounts everybody. Whoever calls otherwise is not \`local\`, so that gives rights and keeps nobody from any.`,
    reload: true,
  }),
  match: value(REPOSITORY_GLOB, {
    description:
      'Pattern over canonical repositories, as under `repositories`. Quote it when it begins with `*`.',
    reload: true,
  }),
  tags: valuesOf(TAG_GLOB, {
    description:
      'Patterns of the tags that it lets be pushed and deleted: it is about no push or delete that moves others, and about no pull or list. Without `delete` it denies deletes by digest, too, which take all tags of a manifest away. Empty: all.',
    default: [],
    reload: true,
  }),
  allow: valuesOf(RIGHT, {
    description:
      'What they may do: `pull`; `push`; `delete`; `list`, which shows in `_catalog` what they may pull; `admin`, the operator’s API at `admin.api`, for accounts, groups and certificates, in rules with `match: "**"`. `[]`: nothing. Pushes and deletes have to be allowed by `repositories`, too.',
    reload: true,
  }),
}

export const ACCESS_RULES = groupsOf(
  group('Who may do what with the repositories that a pattern matches.', ACCESS_KEYS),
  {
    description:
      'Who may do what; the first rule that is about it decides, and what none is about is denied. What somebody may not pull is to them as if it were not there. Without rules everybody may pull and list, and programs on this machine may push and delete; with `auth`, whoever has logged in may do everything and nobody else anything. `entrepot access test` tells which rule decides.',
    default: [],
    reload: true,
  },
)
