// Goal: logins of the bench are what it says: each shown once, from its own address, and counted by
// what it was told. Method: the load client in this process, against a server that writes down what
// it is shown.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { logIn, type Shown } from '../../../bench/load-logins.ts'

/** Lets in who shows `good`, breaks off at `broken`. */
async function startDoor() {
  const seen: string[] = []
  const server = createServer((request, response) => {
    const { authorization = '' } = request.headers
    seen.push(`${authorization} from ${request.socket.remoteAddress}`)
    if (authorization === 'broken') response.destroy()
    else response.writeHead(authorization === 'good' ? 200 : 401, { 'content-length': 2 }).end('{}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    seen,
    target: { host: '127.0.0.1', port, paths: ['/v2/token'] },
    stop: () => new Promise(resolve => server.close(resolve)),
  }
}

const SHOWN: readonly Shown[] = [
  { authorization: 'good', address: 0 },
  { authorization: 'wrong', address: 0 },
  { authorization: 'wrong', address: 49 },
  { authorization: 'broken', address: 1 },
]

for (const everyMs of [0, 1]) {
  t.test(`each login comes once from its own address, every ${everyMs} ms`, async t => {
    const door = await startDoor()
    const { byStatus } = await logIn({ call: 'log in', target: door.target, shown: SHOWN, everyMs })
    await door.stop()
    t.same(byStatus, { 200: 1, 401: 2, 0: 1 }, 'none is taken for an answer that was none')
    t.same(door.seen.toSorted(), [
      'broken from 127.0.2.2',
      'good from 127.0.2.1',
      'wrong from 127.0.2.1',
      'wrong from 127.0.2.50',
    ])
  })
}
