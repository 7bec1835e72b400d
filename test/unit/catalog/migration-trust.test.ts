// Goal: a catalog of version 1002 is taken over whole, without a right that nobody gave; and what
// that version writes to the file afterwards opens nothing either. Method: the tables and the
// statements of version 1002, as they were released.
import t from 'tap'
import { parseRepositoryKey, type Repository } from '../../../src/oci/reference.ts'
import type { Catalog } from '../../../src/registry/ports/catalog.ts'
import {
  alpine,
  blobOf,
  digestNamed,
  layerEdge,
  MANIFEST_TYPE,
  manifestNamed,
  pullOf,
  pushOf,
  secret,
} from '../../contract/catalog-samples.ts'
import { openCatalog, queryBeside } from '../../kit/open-catalog.ts'
import { asVersion1002 } from '../../kit/version-1002.ts'
import { membershipOf } from '../../kit/judges/membership.ts'

const beside = parseRepositoryKey('docker.io/library/beside')
const team = parseRepositoryKey('quay.io/team/app')
const local = parseRepositoryKey('localhost/app')
const emptied = parseRepositoryKey('localhost/emptied')
const stranger = parseRepositoryKey('registry.stranger.example/app')

const foreignEdge = (child: string) => layerEdge(child, { distributable: false })

/** Of each name, how its content belongs to the repository. */
async function memberships(catalog: Catalog, repository: Repository, names: readonly string[]) {
  const found = names.map(async name => [
    name,
    await membershipOf(catalog, repository, digestNamed(name)),
  ])
  return Object.fromEntries(await Promise.all(found)) as Record<string, string | undefined>
}

t.test(
  'R179, R250, R252, R285: what version 1002 left is taken over, without what nobody gave',
  async t => {
    const directory = t.testdir({})
    asVersion1002(directory, old => {
      old.recordBlob(alpine, digestNamed('foreign, fetched'), 'cached')
      old.recordManifest(
        alpine,
        manifestNamed('image', [
          layerEdge('fetched'),
          layerEdge('never fetched'),
          foreignEdge('foreign'),
          foreignEdge('foreign, listed twice'),
          foreignEdge('foreign, delivered'),
          foreignEdge('foreign, of somebody'),
        ]),
      )
      old.recordManifest(beside, manifestNamed('windows', [foreignEdge('foreign, delivered')]))
      old.recordBlob(beside, digestNamed('foreign, delivered'), 'cached')
      old.recordBlob(secret, digestNamed('foreign, of somebody'), 'cached')
      old.recordManifest(alpine, manifestNamed('other', [layerEdge('foreign, listed twice')]))
      old.recordBlob(alpine, digestNamed('fetched'), 'cached')
      old.recordBlob(beside, digestNamed('fetched'), 'cached')
      old.recordBlob(alpine, digestNamed('shared'), 'cached')
      old.confirmMember(secret, digestNamed('shared'))
      old.recordBlob(alpine, digestNamed('kept'), 'kept')
      old.confirmMember(secret, digestNamed('kept'))
      old.recordPushed(team, manifestNamed('pushed'))
      old.recordPushed(local, manifestNamed('local'))
      old.recordBlob(emptied, digestNamed('gone'), 'kept')
      old.removeMember(emptied, digestNamed('gone'))
      for (const [id, key] of [alpine, team].entries()) old.addDelivery(id + 1, key, 9 - id)
    })

    const { catalog } = await openCatalog(t, directory)
    t.strictSame(queryBeside(directory, 'PRAGMA user_version'), [2001])
    t.strictSame(
      await memberships(catalog, alpine, [
        'image',
        'fetched',
        'never fetched',
        'foreign',
        'foreign, listed twice',
        'foreign, fetched',
        'foreign, delivered',
        'foreign, of somebody',
        'shared',
        'kept',
      ]),
      {
        image: 'delivered',
        fetched: 'delivered',
        'never fetched': 'named',
        foreign: undefined,
        'foreign, listed twice': 'named',
        'foreign, fetched': 'delivered',
        'foreign, delivered': 'delivered',
        'foreign, of somebody': undefined,
        shared: 'delivered',
        kept: 'delivered',
      },
    )
    t.strictSame(await memberships(catalog, secret, ['shared', 'kept']), {
      shared: 'delivered',
      kept: 'delivered',
    })
    // The new rule is for what comes now.
    await catalog.recordMember(stranger, digestNamed('shared'), 1)
    t.strictSame(await memberships(catalog, stranger, ['shared']), { shared: 'named' })

    const typeOf = async (repository: Repository, name: string) =>
      (await catalog.findMember(repository, digestNamed(name)))?.mediaType
    t.equal(await typeOf(alpine, 'image'), MANIFEST_TYPE)
    t.equal(await typeOf(team, 'pushed'), MANIFEST_TYPE)
    t.equal(await typeOf(alpine, 'fetched'), undefined)
    const fetched = { ...manifestNamed('fetched'), mediaType: 'x/other' }
    await catalog.recordManifest(pullOf(fetched, { repository: secret }))
    t.equal(await typeOf(secret, 'fetched'), 'x/other')
    t.equal(await typeOf(alpine, 'fetched'), undefined, 'no manifest here by that')

    const { identity } = catalog
    t.match(identity, /^[0-9a-f]{32}$/)
    t.match(await catalog.listDue({ carrier: 'queue', limit: 9 }), [{ id: 2 }, { id: 1 }])
    await catalog.removeMember(team, digestNamed('pushed'))
    const listed = await catalog.listRepositories({ limit: 9 })
    t.strictSame(
      listed.filter(key => !key.startsWith('docker.io/')),
      [
        'localhost/app',
        'localhost/emptied',
        'quay.io/team/app',
        'registry.corp.example/team/secret',
      ],
      'what was pushed to, though it is empty',
    )
    await catalog.close()
    t.equal((await openCatalog(t, directory)).catalog.identity, identity)
  },
)

t.test(
  'R250, R252: what version 1002 adds to a newer file costs a download, and opens nothing',
  async t => {
    const directory = t.testdir({})
    const first = (await openCatalog(t, directory)).catalog
    await first.recordBlob(blobOf('secret', { repository: secret, sizeBytes: 1000 }))
    await first.recordPush(pushOf('private', { repository: local, tags: [] }))
    await first.close()

    const image = manifestNamed('image', [foreignEdge('secret'), layerEdge('layer')])
    asVersion1002(directory, old => {
      old.confirmMember(stranger, digestNamed('secret'))
      old.confirmMember(stranger, digestNamed('private'))
      old.recordManifest(alpine, image)
      old.recordBlob(alpine, digestNamed('layer'), 'cached')
      old.recordManifest(beside, manifestNamed('lists it', [foreignEdge('both')]))
      old.recordManifest(beside, manifestNamed('has it', [layerEdge('both')]))
      old.recordBlob(local, digestNamed('pushed blob'), 'kept')
      old.recordPushed(local, manifestNamed('pushed', [layerEdge('pushed blob')]))
      // So did version 1001 with what was pushed.
      old.recordManifest(local, manifestNamed('pushed', [layerEdge('only listed')]))
    })

    const { catalog } = await openCatalog(t, directory)
    t.strictSame(await memberships(catalog, stranger, ['secret', 'private']), {
      secret: 'named',
      private: 'named',
    })
    t.strictSame(await memberships(catalog, alpine, ['image', 'layer', 'secret']), {
      image: 'named',
      layer: 'named',
      secret: undefined,
    })
    t.strictSame(await memberships(catalog, beside, ['both']), { both: 'named' })
    t.strictSame(await catalog.listDeliverers(digestNamed('secret')), ['registry.corp.example'])
    t.strictSame(
      await memberships(catalog, local, ['private', 'pushed', 'pushed blob', 'only listed']),
      {
        private: 'delivered',
        pushed: 'delivered',
        'pushed blob': 'delivered',
        'only listed': 'named',
      },
      'nobody else could be asked',
    )
    t.match(await catalog.findManifest(local, digestNamed('pushed')), { mediaType: MANIFEST_TYPE })
    t.match(await catalog.findManifest(alpine, digestNamed('image')), { mediaType: MANIFEST_TYPE })
    await catalog.recordManifest(pullOf(image))
    t.strictSame(await memberships(catalog, alpine, ['image', 'secret']), {
      image: 'delivered',
      secret: undefined,
    })
  },
)
