// Requests to the operator's API, which is on the Unix socket alone.
import { request } from 'node:http'

export interface SocketAnswer {
  readonly status: number | undefined
  readonly body: string
}

export interface SocketRequest {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** @throws when nobody listens there */
export function askSocket(
  socketPath: string,
  path: string,
  { method = 'GET', headers = {} }: SocketRequest = {},
): Promise<SocketAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method, headers, agent: false }, answer => {
      let body = ''
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => {
        body += text
      })
      answer.once('error', reject)
      answer.once('end', () => resolve({ status: answer.statusCode, body }))
    })
    sent.once('error', reject)
    sent.end()
  })
}
