// dockerd as older sites run it: Debian's docker.io, graph driver, `registry-mirrors`, no `ns`.
import type { ClientDriver } from '../client-driver.ts'
import { packagedTool } from '../tools.ts'
import { dockerDriver } from './docker-engine.ts'

/** It shows the config's digest as the id of an image, and keeps layers only unpacked. */
export function dockerdGraph(): ClientDriver {
  return dockerDriver({
    name: 'dockerd graph',
    program: packagedTool('dockerd'),
    // 20.10 refuses a mirror with a path.
    plainOnly: true,
    storageDriver: 'overlay2',
    holds: async inspected => new Set([inspected.Id]),
  })
}
