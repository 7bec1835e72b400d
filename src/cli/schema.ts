// `schema`: the configuration's JSON Schema, for editors.
import { parseArgs } from 'node:util'
import { renderJsonSchema } from '../config/schema/json-schema.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { writeJson } from './output.ts'

export const help = `entrepot schema

Prints the configuration's JSON Schema. An editor with a YAML language server completes from it.

Examples
  entrepot schema > entrepot.schema.json
  # first line of the configuration: yaml-language-server: $schema=./entrepot.schema.json
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  parseArgs({ args: [...args] })
  writeJson(context, renderJsonSchema())
  return EXIT_CODES.ok
}
