// nginx as Debian has it: its workers are `www-data`'s, and whatever it keeps is in a directory of
// its own.
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freshDirectory, type Process, startProcess } from './processes.ts'
import { reached } from './reached.ts'

const KEPT = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/**
 * Resolves when it takes connections on `port`. `http`: what stands in that block, for a server
 * whose files are in `directory`.
 */
export async function startNginx(
  port: number,
  http: (directory: string) => string,
): Promise<Process> {
  const directory = freshDirectory('nginx')
  // Its workers are another user.
  chmodSync(directory, 0o755)
  const file = join(directory, 'nginx.conf')
  writeFileSync(
    file,
    `user www-data;
daemon off;
pid ${directory}/pid;
error_log stderr;
events {}
http {
  access_log off;
${KEPT.map(each => `  ${each}_temp_path ${directory}/${each};`).join('\n')}
${http(directory)}}
`,
  )
  const running = startProcess('/usr/sbin/nginx', ['-e', 'stderr', '-c', file])
  await reached(running, port)
  return running
}
