// A caching proxy that does what a careless one does: it passes on what comes and keeps it under
// the digest that was asked for, without looking. The negative control of the fault suites: whoever
// does not find it wrong is not looking either.
import { createServer } from 'node:http'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { closeServer } from '../loopback.ts'
import { get } from '../clients/raw-client.ts'

export interface NaiveCache {
  readonly url: string
  stop(): Promise<void>
}

/**
 * Keeps blobs and manifests as `<directory>/blobs/sha256/<2 hex>/<hex>`, as the oracle expects
 * them.
 */
export async function startNaiveCache(upstream: string, directory: string): Promise<NaiveCache> {
  const server = createServer((request, response) => {
    void answer(request.url ?? '').then(({ status, body }) => {
      response.writeHead(status, { 'content-length': body.length }).end(body)
    })
  })

  async function answer(target: string): Promise<{ status: number; body: Buffer }> {
    const file = fileOf(directory, target)
    const kept = await readFile(file).catch(() => undefined)
    if (kept !== undefined) return { status: 200, body: kept }
    const { status, body } = await get(upstream + target)
    if (status === 200) {
      await mkdir(join(file, '..'), { recursive: true })
      await writeFile(file, body)
    }
    return { status: status === 0 ? 502 : status, body }
  }

  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    stop: () => closeServer(server),
  }
}

function fileOf(directory: string, target: string): string {
  const hex = /sha256:([0-9a-f]{64})/.exec(target)?.[1] ?? 'none'
  return join(directory, 'blobs', 'sha256', hex.slice(0, 2), hex)
}
