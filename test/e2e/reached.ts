// Waits for a program that does not say when it listens.
import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import type { Process } from './processes.ts'

const PATIENCE_MS = 20_000
const LOOK_AGAIN_MS = 20

/**
 * Resolves when something takes connections on this port of loopback.
 * @throws Error with what the program wrote when it does not
 */
export async function reached(running: Process, port: number): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  while (!(await takes(port))) {
    if (Date.now() > deadline) throw new Error(`nothing listens on ${port}:\n${running.output()}`)
    await wait(LOOK_AGAIN_MS)
  }
}

function takes(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
