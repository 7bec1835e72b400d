// Goal: the limit that `status` names is one that can be reached: nothing is evicted to make room.
// Method: the operator's side of the engine over in-memory twins, on disks of different sizes.
import t from 'tap'
import { createOperator } from '../../../../src/registry/operator/operator.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { createEngine, repositoryOf } from '../../../kit/engine.ts'
import { limitsOf } from '../../../kit/storage-limits.ts'
import { operatorDepsOf } from '../../../kit/worlds/operator-deps.ts'

const MiB = 1024 * 1024

async function roomOf({ capacityBytes, maxBytes }: { capacityBytes: number; maxBytes: number }) {
  const engine = createEngine()
  engine.disk.capacityBytes = capacityBytes
  const bytes = Buffer.alloc(10 * MiB)
  const digest = digestOf(bytes)
  await engine.store.put(digest, bytes, 'cached')
  const repository = repositoryOf('library/app')
  const blob = { digest, sizeBytes: bytes.length, hold: 'nothing', atMs: 1 } as const
  await engine.catalog.recordBlob({ repository, ...blob })
  const storageLimits = () => limitsOf(maxBytes)
  const operator = createOperator(operatorDepsOf(engine, { storageLimits }))
  return (await operator.status()).storage
}

const limitOf = async (of: Parameters<typeof roomOf>[0]) => (await roomOf(of)).maxBytes

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

t.test('R340: status says down to where room is made, for the disk as for the limit', async t => {
  const disk = { capacityBytes: 100 * MiB }
  const lowWaterOf = async (of: Parameters<typeof roomOf>[0]) => (await roomOf(of)).lowWaterBytes
  t.equal(await lowWaterOf({ ...disk, maxBytes: 50 * MiB }), 50 * MiB * 0.95)
  t.equal(
    await lowWaterOf({ ...disk, maxBytes: 100 * MiB }),
    85 * MiB,
    'a tenth of the disk stays free, and then what is between the low water and the limit',
  )
})
