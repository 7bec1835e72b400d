// `auth.oidc` → the identity providers, in the operator's order, and what cannot be meant: one that
// takes anybody's tokens, and one that nobody is let in by.
import type { ProviderConfig } from '../config.ts'
import type { Path } from '../findings.ts'
import type { Judge } from '../judge.ts'
import { authoritiesIn } from '../pem.ts'
import { named } from '../schema/keys.ts'
import { PROVIDER_KEYS } from '../schema/oidc-schema.ts'
import type { Settings } from '../schema/schema.ts'

/** It stands between colons in rules. */
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])?$/

export function buildProviders(judge: Judge, settings: Settings): readonly ProviderConfig[] {
  const entries = Object.entries(settings.auth?.oidc ?? {})
  const [first] = entries
  if (first !== undefined && settings.access.length === 0 && !judge.isWritten(['access', 0])) {
    const message =
      'needs rules of access: without any, whoever the issuer knows could do everything here'
    judge.note(['auth', 'oidc'], { message })
  }
  const providers = entries.map(([name, provider]) => {
    const at: Path = ['auth', 'oidc', name]
    if (!NAME.test(name)) {
      const message = 'is no name: at most 32 of a-z, 0-9, dots, dashes and underscores'
      judge.note(at, { message })
    }
    needsOne(judge, at, { audiences: provider.audiences, algorithms: provider.algorithms })
    for (const [claim, values] of Object.entries(provider.claims))
      needsOne(judge, [...at, 'claims'], { [claim]: values })
    const { ca: file, ...keys } = named(PROVIDER_KEYS, provider)
    const text = file && judge.readCertificates([...at, 'ca'], file)
    // Another text that means the same ends nothing that its tokens bought.
    return { ...keys, name, ca: text && authoritiesIn(text) }
  })
  noteStrangers(judge, settings, providers)
  return providers
}

/** Anybody who wants one has an account there, and with it tokens for any audience. */
const PUBLIC_ISSUERS: ReadonlySet<string> = new Set([
  'https://token.actions.githubusercontent.com',
  'https://gitlab.com',
  'https://accounts.google.com',
])

/** A rule about all that such an issuer vouches for lets strangers in. */
function noteStrangers(
  judge: Judge,
  { access }: Settings,
  providers: readonly ProviderConfig[],
): void {
  for (const [index, { who, allow }] of access.entries()) {
    if (who.kind !== 'provider group' || who.group !== undefined || allow.length === 0) continue
    const provider = providers.find(({ name }) => who.provider === name)
    const isPublic = provider !== undefined && PUBLIC_ISSUERS.has(provider.issuer)
    if (!isPublic || Object.keys(provider.claims).length > 0) continue
    const message = `is anybody at all: ${provider.issuer} has tokens for everybody; name a group or a name, or set auth.oidc.${provider.name}.claims`
    judge.note(['access', index, 'who'], { severity: 'warning', message })
  }
}

function needsOne(
  judge: Judge,
  at: Path,
  lists: Readonly<Record<string, readonly string[]>>,
): void {
  // Of those that were written and are faulty that was told.
  for (const [key, list] of Object.entries(lists))
    if (list.length === 0 && !judge.isWritten([...at, key, 0]))
      judge.note([...at, key], { message: 'must name one at least' })
}
