// Goal: a server of a test that was stopped stays away: nobody else answers in its place. Method:
// what keeps its port is a connection with itself, of which the kernel allows one.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import t from 'tap'
import { closeServer, listen } from '../../kit/loopback.ts'

const host = '127.0.0.1'

/** Resolves to what became of a connection to `port`. */
async function connected(port: number, from: { readonly localPort?: number } = {}) {
  const socket = connect({ host, port, localAddress: host, ...from })
  const [code] = await Promise.race([
    once(socket, 'connect').then(() => ['connected']),
    // The kernel's word for it.
    new Promise<string[]>(resolve => {
      socket.once('error', (error: NodeJS.ErrnoException) => resolve([error.code ?? '']))
    }),
  ])
  socket.destroy()
  return code
}

t.test('the port of a server that was closed is kept, and refuses whoever asks', async t => {
  const server = createServer()
  const port = await listen(t, server)
  await closeServer(server)
  t.equal(await connected(port), 'ECONNREFUSED')
  t.match(await connected(port, { localPort: port }), /^EADDR/, 'it is in use')
})

t.test('who names the port can listen there again, and close it again', async t => {
  const first = createServer()
  const port = await listen(t, first)
  await closeServer(first)
  for (let round = 0; round < 2; round += 1) {
    const again = createServer((_, response) => void response.end('back'))
    await once(again.listen(port, host), 'listening')
    t.equal((again.address() as AddressInfo).port, port)
    t.equal(await (await fetch(`http://${host}:${port}`)).text(), 'back')
    await closeServer(again)
    t.equal(await connected(port), 'ECONNREFUSED')
  }
})
