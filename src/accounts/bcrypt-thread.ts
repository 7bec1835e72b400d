// The one thread that tries passwords: bcrypt computes for a tenth of a second and longer, which
// neither those who serve nor those who read files have. Started by bcrypt.ts only. One answer for
// each request, in order.
import { compareSync } from 'bcryptjs'
import { getPriority, platform, setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'

export interface BcryptRequest {
  readonly password: string
  readonly hash: string
}

/**
 * So much nicer than those who serve: whoever sends wrong passwords without end has a third of what
 * one of them has, where there is not enough for all. Nicer yet, and a login beside many pulls
 * would take a second.
 */
const NICER = 5
const NICEST = 19

/** Linux keeps this number for each thread; elsewhere it is the whole process's. */
function makeNicer(): void {
  if (platform() !== 'linux') return
  try {
    setPriority(Math.min(getPriority() + NICER, NICEST))
  } catch {
    // Who runs this forbids it, as filters of system calls do: passwords are tried all the same.
  }
}

makeNicer()
parentPort?.on('message', ({ password, hash }: BcryptRequest) => {
  parentPort?.postMessage(compareSync(password, hash))
})
