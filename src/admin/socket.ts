// Listening on the Unix socket: takes over what a killed process left, never what a living one uses.
import { chmodSync, mkdirSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import type { FastifyInstance } from 'fastify'

/** The server's user and its group; the directory may narrow it further. */
const SOCKET_MODE = 0o660

/** @throws Error when another process answers on it, or its directory cannot be used */
export async function openSocket(app: FastifyInstance, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  await removeStale(path)
  await app.listen({ path })
  chmodSync(path, SOCKET_MODE)
}

async function removeStale(path: string): Promise<void> {
  const state = await new Promise<'living' | 'stale' | 'none'>(resolve => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve('living')
    })
    probe.once('error', error =>
      resolve('code' in error && error.code === 'ENOENT' ? 'none' : 'stale'),
    )
  })
  if (state === 'living') {
    throw Object.assign(new Error(`another server answers on ${path}`), {
      hint: 'stop it, or set admin.socket to another path',
    })
  }
  if (state === 'stale') unlinkSync(path)
}
