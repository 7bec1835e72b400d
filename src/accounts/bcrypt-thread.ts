// The one thread that tries passwords: bcrypt computes for a tenth of a second and longer, which
// neither those who serve nor those who read files have. Started by bcrypt.ts only. One answer for
// each request, in order.
import { compareSync } from 'bcryptjs'
import { parentPort } from 'node:worker_threads'

export interface BcryptRequest {
  readonly password: string
  readonly hash: string
}

parentPort?.on('message', ({ password, hash }: BcryptRequest) => {
  parentPort?.postMessage(compareSync(password, hash))
})
