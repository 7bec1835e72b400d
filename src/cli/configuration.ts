// The configuration as every command finds it: --config, else ENTREPOT_CONFIG, else
// /etc/entrepot/config.yaml when it is there, else none at all.
import { readFileSync, statSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import { type Finding, formatFindings } from '../config/findings.ts'
import { type LoadResult, loadConfig } from '../config/load.ts'
import {
  isLocalDirectory,
  localDisk,
  readLocalFile,
  whyNoLog,
  whyUnreadable,
} from '../config/local-file.ts'
import { systemClock } from '../server/clock.ts'
import { type CliContext, CliError, EXIT_CODES } from './context.ts'
import { describeFaults } from './output.ts'

const USUAL_FILE = '/etc/entrepot/config.yaml'

export interface ConfigurationFile {
  readonly path: string | undefined
  readonly result: LoadResult
}

/**
 * `keptBytes`: what a server that was asked keeps in the data directory.
 * @throws CliError when the file that was named cannot be read
 */
export function loadConfiguration(
  context: CliContext,
  named: string | undefined,
  keptBytes?: number,
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
      whyNoLog,
      diskOf: place => {
        const disk = localDisk(place)
        return disk && keptBytes !== undefined ? { ...disk, keptBytes } : disk
      },
      nowMs: systemClock.nowMs(),
    }),
  }
}

/** Its warnings are for `serve` and `check` to tell. @throws CliError with every fault */
export function requireConfiguration(context: CliContext, named: string | undefined): Config {
  return goodConfiguration(context, named).config
}

/** The same, with its warnings on standard error. */
export function configurationToServe(context: CliContext, named: string | undefined): Config {
  const { config, warnings, path } = goodConfiguration(context, named)
  if (warnings.length > 0) context.stderr.write(formatFindings(warnings, path))
  return config
}

function goodConfiguration(context: CliContext, named: string | undefined) {
  const { path, result } = loadConfiguration(context, named)
  if (result.kind === 'invalid') throw invalidConfiguration(result.findings, path)
  return { ...result, path }
}

export interface SocketUse {
  /** A guess will do: what is asked changes nothing, and whoever asks is told. */
  readonly mayGuess: boolean
  /** Standard error is for failures and nothing else. */
  readonly quiet: boolean
}

/**
 * Where the running server is asked. It goes by what it has loaded, so a file that is faulty now is
 * told on standard error, and keeps nobody from asking, unless a fault may hide where that server
 * is: another one may be where it is sought.
 * @throws CliError when the file that was named cannot be read, or the socket would be a guess and
 * `use` allows none
 */
export function findSocket(
  context: CliContext,
  named: string | undefined,
  { mayGuess, quiet }: SocketUse,
): string {
  const { path, result } = loadConfiguration(context, named)
  const tell = (text: string) => quiet || context.stderr.write(text)
  if (result.kind === 'ok') return result.config.admin.socket
  const { findings, socket } = result
  const faults = findings.filter(({ severity }) => severity === 'error')
  const fault = `${describeFaults(faults.map(each => formatFindings([each], path).trimEnd()))}\n`
  if (socket.isSure) {
    tell(fault)
    return socket.path
  }
  const what = `${fault}this may hide where the server is (admin.socket)`
  if (!mayGuess || quiet) {
    const message = `${what}: say it with --socket PATH, or mend the file`
    throw new CliError(EXIT_CODES.configuration, message)
  }
  tell(`${what}: it is asked at ${socket.path}; --socket PATH says where else\n`)
  return socket.path
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
