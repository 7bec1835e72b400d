// The beginning of rules of a test's own: a data port that refuses nobody at its door and to which
// everybody is alike. What is left to say is who may do what.
import type { Access } from '../../../src/access/access.ts'
import { Revision } from '../../../src/access/revision.ts'

export const ANYBODY: Omit<Access, 'decide'> = {
  revision: new Revision(),
  namesFor: () => ({ url: undefined, hosts: [], isHere: false }),
  admit: () => undefined,
  judgeLogin: () => undefined,
  judgeCredentials: () => undefined,
  identify: () => undefined,
  meet: () => undefined,
  decideNow: (_principal, _repository, action) => action === 'pull',
  isShown: () => true,
  nextShown: (_principal, key) => key,
}
