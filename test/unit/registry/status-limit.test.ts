// Goal: the limit that `status` names is one that can be reached: nothing is evicted to make room.
// Method: the operator's side of the engine over in-memory twins, on disks of different sizes.
import t from 'tap'
import { createOperator } from '../../../src/registry/operator/operator.ts'
import { digestOf } from '../../../src/oci/digest.ts'
import { createEngine, repositoryOf } from '../../kit/engine.ts'

const MiB = 1024 * 1024

async function limitOf({ capacityBytes, maxBytes }: { capacityBytes: number; maxBytes: number }) {
  const engine = createEngine()
  engine.disk.capacityBytes = capacityBytes
  const bytes = Buffer.alloc(10 * MiB)
  const digest = digestOf(bytes)
  await engine.store.put(digest, bytes, 'cached')
  const repository = repositoryOf('library/app')
  const blob = { digest, sizeBytes: bytes.length, contentClass: 'cached', atMs: 1 } as const
  await engine.catalog.recordBlob({ repository, ...blob })
  const operator = createOperator({
    ...engine,
    namespaces: { find: () => engine.namespace, list: () => [engine.namespace], allShare: true },
    policies: { find: each => engine.registry.policyOf(each) },
    maxStorageBytes: maxBytes,
    version: '0',
    pid: 1,
    needsRestart: () => [],
    refusedReload: () => undefined,
    sending: { sending: 'sendfile' },
    threads: () => ({ configured: 1, listening: 1, deaths: 0 }),
    nudgeDeliveries: () => {},
    ownNameIn: () => undefined,
    traffic: async () => ({ sentBytes: 0, upstreamBytes: 0, savedBytes: 0, hits: 0, requests: 0 }),
  })
  return (await operator.status()).storage.maxBytes
}

// issue 17, 29
t.test(
  'R275: the limit in status is what the disk can really give, or what is configured',
  async t => {
    const disk = { capacityBytes: 100 * MiB }
    // A tenth of a small disk stays free.
    t.equal(await limitOf({ ...disk, maxBytes: 80 * 1024 * MiB }), 90 * MiB)
    t.equal(await limitOf({ ...disk, maxBytes: Number.POSITIVE_INFINITY }), 90 * MiB)
    t.equal(await limitOf({ ...disk, maxBytes: 50 * MiB }), 50 * MiB)
    t.equal(await limitOf({ capacityBytes: 10 * MiB, maxBytes: 50 * MiB }), 10 * MiB, 'it is full')
  },
)
