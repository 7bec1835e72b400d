// What is measured on: the machine without its name, and the versions of what takes part.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem } from 'node:os'
import { goTool, packagedTool } from '../test/e2e/tools.ts'
import type { Box } from './figures.ts'

/** Of x86 and of ARM. */
const SHA_INSTRUCTIONS = /^(?:flags|Features)\s*:.*\b(?:sha_ni|sha2)\b/m
const GIBIBYTE = 1024 ** 3

export function describeBox(): Box {
  const processors = cpus()
  return {
    cores: processors.length,
    processor: processors[0]?.model ?? 'unknown',
    hashes: SHA_INSTRUCTIONS.test(readFileSync('/proc/cpuinfo', 'utf8'))
      ? 'by the processor'
      : 'by software',
    memoryGiB: Math.round(totalmem() / GIBIBYTE),
    kernel: release().replace(/^(\d+(?:\.\d+)*).*/, '$1'),
    system: /^PRETTY_NAME="(.*)"/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'unknown',
    node: process.version,
    versions: {
      Entrepot: entrepotVersion(),
      'docker-registry': versionOf(() => packagedTool('docker-registry'), ['--version']),
      distribution: versionOf(() => goTool('distribution'), ['--version']),
      zot: versionOf(() => process.env['ZOT_BIN'] ?? '', ['--version']),
      nginx: versionOf(() => '/usr/sbin/nginx', ['-v']),
      skopeo: versionOf(() => packagedTool('skopeo'), ['--version']),
      wrk: versionOf(() => 'wrk', ['-v']),
    },
  }
}

function entrepotVersion(): string {
  const file = new URL('../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

/** The first thing that looks like a version in what `program` says of itself. */
function versionOf(find: () => string, args: readonly string[]): string {
  try {
    const { stdout, stderr, error } = spawnSync(find(), args, { encoding: 'utf8' })
    if (error !== undefined) return 'not there'
    const found = /\bv?(\d+\.\d+(?:\.\d+)*)/.exec(`${stdout}\n${stderr}`)?.[1]
    return found ?? 'unknown'
  } catch {
    return 'not there'
  }
}
