// The configuration as every command finds it: --config, else ENTREPOT_CONFIG, else /etc/entrepot/config.yaml when it is there,
// else none at all.
import { readFileSync, statSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import { type Finding, formatFindings } from '../config/findings.ts'
import { type LoadResult, loadConfig } from '../config/load.ts'
import { isLocalDirectory, readLocalFile, whyUnreadable } from '../config/local-file.ts'
import { systemClock } from '../system-clock.ts'
import { type CliContext, CliError, EXIT_CODES } from './context.ts'

const USUAL_FILE = '/etc/entrepot/config.yaml'

export interface ConfigurationFile {
  readonly path: string | undefined
  readonly result: LoadResult
}

/** @throws CliError when the file that was named cannot be read */
export function loadConfiguration(
  context: CliContext,
  named: string | undefined,
): ConfigurationFile {
  const path =
    named ?? context.env['ENTREPOT_CONFIG'] ?? (exists(USUAL_FILE) ? USUAL_FILE : undefined)
  const file = path === undefined ? undefined : { path, text: readText(path) }
  return {
    path,
    result: loadConfig({
      file,
      env: context.env,
      readFile: readLocalFile,
      isDirectory: isLocalDirectory,
      nowMs: systemClock.nowMs(),
    }),
  }
}

/** The configuration, with its warnings on standard error. @throws CliError with every fault */
export function requireConfiguration(context: CliContext, named: string | undefined): Config {
  const { path, result } = loadConfiguration(context, named)
  if (result.kind === 'invalid') throw invalidConfiguration(result.findings, path)
  if (result.warnings.length > 0) context.stderr.write(formatFindings(result.warnings, path))
  return result.config
}

/**
 * Where the running server is asked. It goes by what it has loaded, so a file that is faulty now is told in a line on standard error, and
 * keeps nobody from asking. @throws CliError when the file that was named cannot be read
 */
export function findSocket(context: CliContext, named: string | undefined): string {
  const { path, result } = loadConfiguration(context, named)
  if (result.kind === 'ok') {
    context.stderr.write(formatFindings(result.warnings, path))
    return result.config.admin.socket
  }
  const faults = result.findings.filter(({ severity }) => severity === 'error')
  const more = faults.length === 1 ? '' : ` (${faults.length - 1} more: "entrepot check" tells all)`
  context.stderr.write(`${formatFindings(faults.slice(0, 1), path).trimEnd()}${more}\n`)
  return result.socket
}

export function invalidConfiguration(
  findings: readonly Finding[],
  path: string | undefined,
): CliError {
  return new CliError(EXIT_CODES.configuration, formatFindings(findings, path).trimEnd())
}

function readText(path: string): string {
  try {
    // Not by readLocalFile: this one may come through a pipe.
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new CliError(
      EXIT_CODES.configuration,
      `the configuration ${path} cannot be read: ${whyUnreadable(error)}`,
    )
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
