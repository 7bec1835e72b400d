// `check`: every fault of a configuration at once, and with --online whether its upstreams answer.
import { parseArgs } from 'node:util'
import { formatFindings } from '../config/findings.ts'
import type { Config } from '../config/config.ts'
import { commandClock } from '../server/clock.ts'
import { type Probe, probeUpstreams } from '../server/probe-upstreams.ts'
import { invalidConfiguration, loadConfiguration } from './configuration.ts'
import { type CliContext, EXIT_CODES, type ExitCode } from './context.ts'
import { writeJson, writeTable } from './output.ts'
import { VERSION } from './version.ts'

export const help = `entrepot check [--config FILE] [--online] [--json]

Validates the configuration and says all faults at once, with file, line and a suggestion.

  --config FILE  default: as for serve
  --online       also asks every upstream whether it answers
  --json         print JSON

Exit codes: 0 valid (and every upstream answers), 1 an upstream does not answer, 78 invalid

Examples
  entrepot check --config ./entrepot.yaml
  entrepot check --online
`

export async function run(args: readonly string[], context: CliContext): Promise<ExitCode> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      config: { type: 'string' },
      online: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  const { path, result } = loadConfiguration(context, values.config)
  if (result.kind === 'invalid') {
    if (!values.json) throw invalidConfiguration(result.findings, path)
    writeJson(context, { valid: false, findings: result.findings })
    return EXIT_CODES.configuration
  }
  const probes = values.online ? await probe(result.config) : undefined
  if (values.json) writeJson(context, { valid: true, findings: result.warnings, upstreams: probes })
  else {
    context.stderr.write(formatFindings(result.warnings, path))
    context.stdout.write(`${path ?? 'no configuration: the built-in one'} is valid\n`)
    if (probes !== undefined) writeProbes(context, probes)
  }
  return probes?.some(each => !each.answers) ? EXIT_CODES.failed : EXIT_CODES.ok
}

function probe(config: Config): Promise<readonly Probe[]> {
  return probeUpstreams(config, {
    clock: commandClock,
    note: () => {},
    random: Math.random,
    version: VERSION,
  })
}

function writeProbes(context: CliContext, probes: readonly Probe[]): void {
  writeTable(context, [
    ['UPSTREAM', 'ANSWERS', 'DETAIL'],
    ...probes.map(({ registry, answers, detail }) => [registry, answers ? 'yes' : 'no', detail]),
  ])
}
