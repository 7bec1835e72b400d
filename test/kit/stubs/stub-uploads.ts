// The uploads of a stub registry: what came so far, and how they are addressed. Everything is held
// in memory.
import { randomUUID } from 'node:crypto'
import type { Behaviour } from './stub-profiles.ts'
import type { StubRequest } from './stub-requests.ts'

export interface Upload {
  readonly id: string
  readonly repository: string
  readonly pieces: Buffer[]
  sizeBytes: number
  /** Grows with each answer. */
  state: number
}

export type Uploads = ReturnType<typeof createUploads>

export function createUploads(
  { basePath, push }: Behaviour,
  urls: { registry: () => string; storage: () => string },
) {
  const open = new Map<string, Upload>()

  /** With characters that a client must hand back as they are. */
  const stateOf = ({ id, state }: Upload): string => `${id.slice(0, 8)}/${state}%2B=`

  function location(upload: Upload): string {
    const query = push.state ? `?_state=${stateOf(upload)}` : ''
    const { id, repository } = upload
    const path = `${basePath}/v2/${repository}/blobs/uploads/${id}${query}`
    switch (push.location) {
      case 'path':
        return path
      case 'relative':
        return `${id}${query}`
      case 'absolute':
        return urls.registry() + path
      case 'schemeless':
        return `//${new URL(urls.registry()).host}${path}`
      case 'storage':
        return `${urls.storage()}/uploads/${repository}/${id}${query}`
    }
  }

  return {
    start: (repository: string): Upload => {
      const upload = { id: randomUUID(), repository, pieces: [], sizeBytes: 0, state: 0 }
      open.set(upload.id, upload)
      return upload
    },
    /** The upload that a request is for, when its Location was the newest. */
    find: ({ repository, reference, query }: StubRequest): Upload | undefined => {
      const upload = open.get(reference)
      if (upload === undefined || upload.repository !== repository) return undefined
      const state = /(?:^|&)_state=([^&]*)/.exec(query)?.[1]
      return !push.state || state === stateOf(upload) ? upload : undefined
    },
    append: (upload: Upload, piece: Buffer): void => {
      upload.pieces.push(piece)
      upload.sizeBytes += piece.length
    },
    /** Where it goes on, and how far it is. */
    headers: (upload: Upload): Record<string, string> => {
      upload.state += 1
      return {
        location: location(upload),
        range: `0-${Math.max(0, upload.sizeBytes - 1)}`,
        'docker-upload-uuid': upload.id,
      }
    },
    end: (id: string): boolean => open.delete(id),
    /** How many have been begun and neither ended nor cancelled. */
    count: (): number => open.size,
  }
}
