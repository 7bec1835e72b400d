// What an operator is told of a refusal: also what clients are not.
import type { RegistryError } from '../../oci/errors.ts'

export function messageOf({ message, cause }: RegistryError): string {
  if (!(cause instanceof Error)) return message
  const hint = 'hint' in cause && typeof cause.hint === 'string' ? `; ${cause.hint}` : ''
  return `${message}: ${cause.message}${hint}`
}
