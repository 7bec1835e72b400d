// A process that can be killed at any await: what is called through a mortal port has no effect and
// never answers once its life is over. So whatever code was doing stops where it was, as it does
// when a process is killed, while what lies behind the ports goes on.
import { everyCall } from '../around.ts'

export interface Life {
  readonly isOver: boolean
  /** Resolves when it is. */
  readonly over: Promise<void>
  end(): void
  /** Ends it instead of giving the answer that comes after `answers` more of them. */
  endAfter(answers: number): void
  /** An answer is to be given: may it? */
  goesOn(): boolean
}

export function startLife(): Life {
  const over = Promise.withResolvers<void>()
  let isOver = false
  let left = Number.POSITIVE_INFINITY
  const end = () => {
    isOver = true
    over.resolve()
  }
  return {
    get isOver() {
      return isOver
    },
    over: over.promise,
    end,
    endAfter: answers => {
      left = answers
    },
    goesOn: () => {
      if (--left < 0) end()
      return !isOver
    },
  }
}

/** `port`, all of whose methods are asynchronous, for as long as `life` lasts. */
export function mortal<Port extends object>(port: Port, life: Life): Port {
  return everyCall(port, (call, args) =>
    life.isOver ? never() : whileAlive(call(...args) as Promise<unknown>, life),
  )
}

function whileAlive(answer: Promise<unknown>, life: Life): Promise<unknown> {
  return answer.then(
    value => (life.goesOn() ? value : never()),
    error => (life.goesOn() ? Promise.reject(error) : never()),
  )
}

function never(): Promise<never> {
  return new Promise(() => {})
}
