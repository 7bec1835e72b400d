// A Node process that answers calls: the upstream and the load clients run apart from the bench and
// from each other, so that none takes another's time on the same thread.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { noteProcess } from './ledger.ts'

export interface Worker {
  /** What it says when it is ready. */
  readonly first: Promise<unknown>
  /** Rejects when the process ends before it has answered. */
  call(message: object): Promise<unknown>
  stop(): Promise<void>
}

/**
 * `file` is relative to this directory. It sends `{ id: 0, result }` when ready, and `{ id, result
 * }` for each call. `enter` stands in front of the program and becomes it, as `ip netns exec` does.
 */
export function forkWorker(
  file: string,
  args: readonly string[] = [],
  enter: readonly string[] = [],
): Worker {
  const [program = process.execPath, ...rest] = [
    ...enter,
    process.execPath,
    fileURLToPath(new URL(file, import.meta.url)),
    ...args,
  ]
  const child = spawn(program, rest, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
  })
  if (child.pid !== undefined) noteProcess(child.pid)
  const waiting = new Map<number, PromiseWithResolvers<unknown>>()
  const expect = (id: number) => {
    const answer = Promise.withResolvers<unknown>()
    waiting.set(id, answer)
    return answer.promise
  }
  const ended = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
  })
  void ended.then(() => {
    for (const answer of waiting.values()) answer.reject(new Error(`${file} ended`))
  })
  child.on('message', ({ id, result }: { id: number; result: unknown }) => {
    waiting.get(id)?.resolve(result)
    waiting.delete(id)
  })
  let lastId = 0
  return {
    first: expect(0),
    call: message => {
      lastId += 1
      const answer = expect(lastId)
      child.send({ id: lastId, ...message })
      return answer
    },
    stop: async () => {
      if (child.exitCode === null) child.kill('SIGKILL')
      await ended
    },
  }
}
