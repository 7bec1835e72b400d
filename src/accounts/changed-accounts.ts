// What another file of accounts means for people, for the audit: who came, who went, and who has
// another password.

export interface ChangedAccounts {
  readonly added?: readonly string[]
  readonly removed?: readonly string[]
  readonly passwords?: readonly string[]
}

/** Hashes by name. Undefined: nothing is another one. */
export function changedAccounts(
  before: ReadonlyMap<string, string | undefined>,
  after: ReadonlyMap<string, string>,
): ChangedAccounts | undefined {
  const all = {
    added: [...after.keys()].filter(name => !before.has(name)),
    removed: [...before.keys()].filter(name => !after.has(name)),
    passwords: [...after]
      .filter(([name, hash]) => before.has(name) && before.get(name) !== hash)
      .map(([name]) => name),
  }
  const some = Object.entries(all).filter(([, names]) => names.length > 0)
  return some.length === 0 ? undefined : Object.fromEntries(some)
}
