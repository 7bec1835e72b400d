// Goal: what lies here for a pushed manifest that is lost is there when its file is brought back.
// Method: the whole edge, three times over one directory: pushed to; without its catalog and that
// file, for longer than files stay that are nobody's; and with the file again.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Digest } from '../../src/oci/digest.ts'
import { UNUSED_MS } from '../../src/registry/collect/collect.ts'
import { startTestEdge } from '../kit/edge.ts'
import { NO_UPSTREAM } from '../kit/edge-push.ts'
import { makeImage } from '../kit/image.ts'
import { createPushClient } from '../kit/push-client.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const image = makeImage({ seed: 'lost', layers: [10] })
const parts = [image.config, ...image.layers]

t.test('R431: what lies here for a lost manifest stays until that is found', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'entrepot-lost-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const data = join(directory, 'data')
  const fileOf = (digest: Digest) =>
    join(
      data,
      'blobs',
      'sha256',
      digest.slice('sha256:'.length, 'sha256:'.length + 2),
      digest.slice('sha256:'.length),
    )
  const start = () => startTestEdge(t, { directory, upstreams: NO_UPSTREAM })

  const pushed = await start()
  const client = createPushClient(pushed.url)
  t.teardown(() => client.close())
  for (const part of parts)
    t.equal((await client.blob('localhost/app', Buffer.from(part.bytes()))).status, 201)
  t.equal((await client.manifest('localhost/app', 'v1', image.manifest)).status, 201)
  await pushed.stop()
  const file = fileOf(image.manifest.digest)
  const bytes = await readFile(file)
  rmSync(file)
  for (const name of readdirSync(data)) if (name.startsWith('catalog.db')) rmSync(join(data, name))

  const without = await start()
  const told = await without.untilLogged('files without rows were adopted')
  t.match(told, { files: parts.length, hint: /none leaves before that is found/ })
  for (let passed = 0; passed <= UNUSED_MS + DAY_MS; passed += DAY_MS) await without.pass(DAY_MS)
  await without.stop()

  await writeFile(file, bytes)
  await chmod(file, 0o440)
  const again = await start()
  await again.untilLogged('what is kept beside the content was compared with the catalog')
  t.equal((await again.get('/v2/localhost/app/manifests/v1')).status, 200)
  for (const { digest } of parts)
    t.equal((await again.get(`/v2/localhost/app/blobs/${digest}`)).status, 200)
})
