// Logins that come whether those before were answered or not: machines that start together, or
// somebody who guesses. Part of the load process.
import { setTimeout as wait } from 'node:timers/promises'
import { connect } from './load-connection.ts'
import type { Target } from './load-connection.ts'

/** What one client shows. */
export interface Shown {
  readonly authorization: string
  /** Which of the client's addresses it comes from, of 127.0.2.1 and those that follow. */
  readonly address: number
}

export interface LogInCall {
  readonly call: 'log in'
  readonly target: Target
  readonly shown: readonly Shown[]
  /** 0: all at once. */
  readonly everyMs: number
}

export interface LoggedIn {
  /** How many were answered with which status; 0: not at all. */
  readonly byStatus: Readonly<Record<number, number>>
}

const ADDRESSES_MAX = 254

/** Resolves when all are answered. */
export async function logIn({ target, shown, everyMs }: LogInCall): Promise<LoggedIn> {
  const path = target.paths.at(-1) ?? '/'
  const startMs = performance.now()
  const underWay: Promise<number>[] = []
  for (const each of shown) {
    const lateMs = performance.now() - startMs - underWay.length * everyMs
    if (everyMs > 0 && lateMs < 0) await wait(-lateMs)
    underWay.push(show(target, path, each))
  }
  const byStatus: Record<number, number> = {}
  for (const status of await Promise.all(underWay)) byStatus[status] = (byStatus[status] ?? 0) + 1
  return { byStatus }
}

async function show(target: Target, path: string, { authorization, address }: Shown) {
  const localAddress = `127.0.2.${1 + (address % ADDRESSES_MAX)}`
  const connection = connect({ ...target, authorization, localAddress })
  const { status, complete } = await connection.get(path, () => {})
  connection.close()
  return complete ? status : 0
}
