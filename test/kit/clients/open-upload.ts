// An upload that has begun over the data port, and a raw connection to go on with it: for tests of
// what happens to bodies.
import { parseRepositoryKey } from '../../../src/oci/reference.ts'
import { createTestApp, openSocket, type TestApp } from '../worlds/http-app.ts'

export const APP = parseRepositoryKey('localhost/app')
export const UPLOADS = '/v2/localhost/app/blobs/uploads/'

export interface OpenUpload extends TestApp, Awaited<ReturnType<typeof openSocket>> {
  readonly url: string
  readonly id: string
  /**
   * The head of a request for the upload, its last empty line included. `method`: default PATCH.
   */
  head(lines: readonly string[], method?: string, query?: string): string
}

/** Taken down when the test ends. */
export async function openUpload(t: { teardown(fn: () => unknown): unknown }): Promise<OpenUpload> {
  const app = createTestApp(t)
  const url = await app.listen()
  const { id } = await app.registry.startUpload(APP, { algorithm: 'sha256' })
  const connection = await openSocket(url)
  t.teardown(() => connection.socket.destroy())
  return {
    ...app,
    ...connection,
    url,
    id,
    head: (lines, method = 'PATCH', query = '') => {
      const start = `${method} ${UPLOADS}${id}${query} HTTP/1.1`
      return [start, 'Host: localhost', ...lines, '', ''].join('\r\n')
    },
  }
}

/** Lets the event loop go round once. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}
