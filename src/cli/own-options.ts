// Options of one command beside those that several share: taken out, so that readCommon reads the
// rest.
import { parseArgs } from 'node:util'
import { CliError, EXIT_CODES } from './context.ts'
import { OTHER_EDGE_OPTIONS } from './other-edge.ts'

type Wanted = Readonly<
  Record<string, { readonly type: 'string' | 'boolean'; readonly short?: string }>
>

export interface OwnOptions<Name extends string> {
  /** Each value that was given, in order; of a switch, `true` for each time. */
  readonly values: Readonly<Record<Name, readonly string[]>>
  /** Was it given? */
  has(name: Name): boolean
  readonly rest: readonly string[]
}

/** @throws CliError usage for an option without its value */
export function takeOwnOptions<const Own extends Wanted>(
  args: readonly string[],
  own: Own,
): OwnOptions<keyof Own & string> {
  const { tokens } = parseArgs({
    args: [...args],
    strict: false,
    tokens: true,
    options: {
      ...own,
      config: { type: 'string' },
      socket: { type: 'string' },
      ...OTHER_EDGE_OPTIONS,
    },
  })
  const values = Object.fromEntries(Object.keys(own).map(name => [name, [] as string[]]))
  const taken = new Set<number>()
  for (const token of tokens) {
    if (token.kind !== 'option' || !Object.hasOwn(own, token.name)) continue
    taken.add(token.index)
    if (own[token.name]?.type === 'boolean') {
      values[token.name]?.push('true')
      continue
    }
    if (token.value === undefined || (!token.inlineValue && /^-./.test(token.value)))
      throw new CliError(EXIT_CODES.usage, `${token.rawName} wants a value`)
    if (!token.inlineValue) taken.add(token.index + 1)
    values[token.name]?.push(token.value)
  }
  return {
    values: values as Record<keyof Own & string, string[]>,
    has: name => (values[name]?.length ?? 0) > 0,
    rest: args.filter((_, index) => !taken.has(index)),
  }
}

/** The last one that was given. */
export function lastOf(values: readonly string[]): string | undefined {
  return values.at(-1)
}
