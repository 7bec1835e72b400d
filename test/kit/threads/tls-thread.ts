// A TLS server in a thread of its own, with the options that it was started with: tells its port,
// and answers nothing.
import type { AddressInfo } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { createTlsTransport, type TlsOptions } from '../../../src/http/tls/tls.ts'
import { createMetrics } from '../../../src/observe/metrics.ts'
import { createManualClock } from '../manual-clock.ts'

const clock = createManualClock()
const { sleep } = clock
const metrics = createMetrics({ version: 'test', nodeVersion: 'test', sleep, process: false })
const server = createTlsTransport(workerData as TlsOptions, { clock, metrics }).createServer({})
server.on('request', (_request, response) => response.end())
server.listen(0, '127.0.0.1', () => parentPort?.postMessage((server.address() as AddressInfo).port))
