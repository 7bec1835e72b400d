// Where the programs under test are. A missing one is an error that says how to get it, never a
// reason to skip.
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** Built by scripts/go-tools.sh. */
export type GoTool =
  | 'crane'
  | 'containerd'
  | 'ctr'
  | 'buildkitd'
  | 'buildctl'
  | 'dockerd'
  | 'distribution'
  | 'regctl'
  | 'oras'
  | 'helm'
  | 'cosign'
  | 'conformance'
  | 'conformance-before-1.1'

/** Installed by scripts/install-e2e.sh. */
export type PackagedTool =
  | 'dockerd'
  | 'podman'
  | 'skopeo'
  | 'buildah'
  | 'umoci'
  | 'docker-registry'
  | 'eatmydata'
  | 'htpasswd'

/** Where scripts/go-tools.sh keeps what it builds. */
export const GO_TOOLS_DIRECTORY =
  process.env['E2E_TOOLS'] ?? join(homedir(), '.cache', 'entrepot-tools')

/** The path of a tool of scripts/go-tools.sh. @throws Error when it is not there. */
export function goTool(name: GoTool): string {
  return present([join(GO_TOOLS_DIRECTORY, name)], name)
}

/**
 * The path of the distribution's own program, never of a newer one elsewhere in PATH.
 * @throws Error when it is not there.
 */
export function packagedTool(name: PackagedTool): string {
  return present([`/usr/bin/${name}`, `/usr/sbin/${name}`], name)
}

function present(paths: readonly string[], name: string): string {
  const path = paths.find(candidate => existsSync(candidate))
  if (path === undefined) throw new Error(`${name} is not installed: run scripts/install-e2e.sh`)
  return path
}
