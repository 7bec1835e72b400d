// Numbers that people write behind an option.
import { CliError, EXIT_CODES } from './context.ts'

/** @throws CliError usage */
export function parseWhole(
  text: string,
  { name, min, max }: { readonly name: string; readonly min: number; readonly max: number },
): number {
  const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new CliError(EXIT_CODES.usage, `${name} is a whole number from ${min} to ${max}`)
}
