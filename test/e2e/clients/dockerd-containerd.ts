// dockerd as installed today: moby v2 on the containerd store; `registry-mirrors` with
// `?ns=docker.io`.
import type { ClientDriver } from '../client-driver.ts'
import { GO_TOOLS_DIRECTORY, goTool } from '../tools.ts'
import { dockerDriver } from './docker-engine.ts'
import { laterLayerPrepared } from './extraction.ts'

/** It lists the manifests of which it holds everything. */
export function dockerdContainerd(): ClientDriver {
  return dockerDriver({
    name: 'dockerd containerd',
    program: goTool('dockerd'),
    pathFirst: GO_TOOLS_DIRECTORY,
    storageDriver: 'overlayfs',
    killable: socket => laterLayerPrepared(socket, 'moby'),
    async holds(inspected, engine) {
      const images = (await engine.call('GET', '/images/json?manifests=1')) as Listed[]
      const manifests = images.find(image => image.Id === inspected.Id)?.Manifests ?? []
      return new Set(manifests.filter(manifest => manifest.Available).map(({ ID }) => ID))
    },
  })
}

interface Listed {
  readonly Id: string
  readonly Manifests?: readonly { readonly ID: string; readonly Available: boolean }[]
}
