// Listening on the Unix socket: takes over what a killed process left, never what a living one
// uses, and removes nothing that is no socket.
import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { FastifyInstance } from 'fastify'

/** The server's user and its group; the directory may narrow it further. */
const SOCKET_MODE = 0o660
/**
 * `sun_path` of unix(7), 108 bytes with the zero at its end. Of a longer path the system would
 * silently take the beginning.
 */
const PATH_MAX_BYTES = 107

/**
 * Makes its directory, and takes away what a killed process left.
 * @throws Error with `hint` when the path is taken or too long; whatever the system says when its
 * directory cannot be used
 */
export async function prepareSocket(path: string): Promise<void> {
  assertFits(path)
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  await removeStale(path)
}

/** @throws as prepareSocket */
export async function openSocket(app: FastifyInstance, path: string): Promise<void> {
  await prepareSocket(path)
  await app.listen({ path })
  chmodSync(path, SOCKET_MODE)
}

function assertFits(path: string): void {
  const bytes = Buffer.byteLength(path)
  if (bytes <= PATH_MAX_BYTES) return
  throw refusal(
    `admin.socket is ${path}, which has ${bytes} bytes; the path of a Unix socket has at most ${PATH_MAX_BYTES}`,
    'set admin.socket to a shorter path; without that key it is admin.sock in storage.rootdirectory',
  )
}

async function removeStale(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return
  if (!stats.isSocket()) {
    throw refusal(
      `admin.socket is ${path}, and what is there is no socket; it is left alone`,
      'set admin.socket to another path, or move away what is there',
    )
  }
  const { kind, detail } = await tryConnect(path)
  if (kind === 'living') {
    throw refusal(
      `another server answers on ${path}${detail}`,
      'stop it, or set admin.socket to another path',
    )
  }
  rmSync(path, { force: true })
}

/**
 * Only a refused connection shows that nobody listens any more: a full queue or missing rights do
 * not.
 */
function tryConnect(path: string): Promise<{ kind: 'living' | 'stale'; detail: string }> {
  return new Promise(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve({ kind: 'living', detail: '' })
    })
    probe.once('error', error => {
      const code = 'code' in error ? String(error.code) : error.message
      const isStale = code === 'ECONNREFUSED' || code === 'ENOENT'
      resolve(
        isStale ? { kind: 'stale', detail: '' } : { kind: 'living', detail: ` or did (${code})` },
      )
    })
  })
}

function refusal(message: string, hint: string): Error {
  return Object.assign(new Error(message), { hint })
}
