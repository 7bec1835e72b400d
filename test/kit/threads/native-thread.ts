// A thread that begins to send and says so; it is ended from outside while the client reads
// nothing.
import type { Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { loadSendfile } from '../../../src/http/send/sendfile.ts'

const { socket, file, lengthBytes } = workerData as {
  socket: number
  file: number
  lengthBytes: number
}
const sending = loadSendfile()?.open({ _handle: { fd: socket } } as unknown as Socket, file)
if (sending === undefined) throw new Error('there is no sender in this thread')
void sending.send(0, lengthBytes)
while (sending.sentBytes === 0) await new Promise(setImmediate)
parentPort?.postMessage('sending')
