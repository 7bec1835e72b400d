// Two edges that no line joins: the first before a stub registry, the second before an upstream
// that is offline. What goes from one to the other goes in files, by the commands.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { runCli } from '../cli.ts'
import { startTestEdge, type TestEdge, type TestEdgeOptions } from '../edge.ts'
import type { Image } from '../image.ts'
import { startStub } from '../stubs/stub-registry.ts'

/** It is never asked. */
export const OFFLINE = { 'docker.io': { url: 'http://127.0.0.1:1', offline: true } }

/** `options`: of the second one. */
export async function startTwoEdges(t: Test, options: Partial<TestEdgeOptions> = {}) {
  const stub = await startStub(t)
  const from = await startTestEdge(t, { upstreams: { 'docker.io': { url: stub.url } } })
  const to = await startTestEdge(t, { upstreams: OFFLINE, ...options })
  const directory = await mkdtemp(join(tmpdir(), 'import-'))
  t.teardown(() => rm(directory, { recursive: true }))
  const path = (name: string) => join(directory, name)
  const exported = async (name: string, ...args: string[]) => {
    const file = path(name)
    t.match(await at(from)('export', ...args, '-o', file), { exitCode: 0 })
    return file
  }
  return { stub, from, to, path, exported }
}

/** The commands of its machine. */
export const at =
  ({ socket }: TestEdge) =>
  (...argv: string[]) =>
    runCli([...argv, '--socket', socket])

export async function keyOf(edge: TestEdge): Promise<string> {
  return (JSON.parse((await at(edge)('key', 'show', '--json')).stdout) as { key: string }).key
}

/** All that a client gets of it, byte for byte. */
export async function pulls(
  t: Test,
  edge: TestEdge,
  name: string,
  image: Image,
  reference = 'v1',
): Promise<void> {
  const { mediaType: accept, bytes, digest } = image.manifest
  const manifest = await edge.get(`/v2/${name}/manifests/${reference}`, { accept })
  t.match(manifest, { status: 200, headers: { 'docker-content-digest': digest } })
  t.ok(manifest.body.equals(bytes), `${name} as it was`)
  if (image.children.length > 0) return
  for (const blob of [image.config, ...image.layers]) {
    const answer = await edge.get(`/v2/${name}/blobs/${blob.digest}`)
    t.equal(answer.status, 200)
    t.ok(answer.body.equals(Buffer.from(blob.bytes())), 'byte for byte')
  }
}
