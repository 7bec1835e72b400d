// Goal: whoever may not see a repository is told the same of it as of one that is nowhere, whatever
// is asked, however it is spelled, wherever its content is, on each thread, and after each change;
// and whoever may see it is given it. Method: the whole edge in process over a stub registry, one
// and four threads, over TLS, where some show certificates, and with a token server; every form of
// request of every repository as everybody, over connections that stay open; what is right is said
// by a model that shares no code with the edge.
import t from 'tap'
import { Matrix } from '../../kit/worlds/access-matrix.ts'
import { AFTER, BEFORE, startAccessWorld } from '../../kit/worlds/access-world.ts'

const WITHOUT_ALICE = new Set(['alice', 'alice, by a token', 'alice with a certificate', 'a robot'])
/** All whose token its first key has signed. */
const WITHOUT_KEY = new Set([
  'a robot',
  'alice, by a granted token',
  'alice, granted a few',
  'alice, granted nothing',
  'bob of ci, granted pulls',
  'carol, granted pushes alone',
  'anonymous, granted all',
  'a network, granted a few',
])

for (const [threads, over] of [
  [1, 'plain'],
  [4, 'plain'],
  [1, 'tls'],
  [1, 'tokens'],
] as const)
  t.test(`R640: on ${threads} thread(s), ${over}, nothing tells that it is there`, async t => {
    const world = await startAccessWorld(t, threads, over)
    const matrix = new Matrix(world)
    const ask = async (round: Parameters<Matrix['ask']>[0]) => {
      const before = matrix.leaks.length
      await matrix.ask(round)
      const found = matrix.leaks.slice(before)
      t.same(found.slice(0, 5), [], `${round.state}: ${found.length} leaks`)
    }
    await ask({ state: 'cold', rules: BEFORE, of: 'denied' })
    t.equal(world.stub.count({}), 0, 'for nobody an upstream is asked')
    // By several, each of whom brings it nearer to memory.
    await ask({ state: 'asked for', rules: BEFORE, of: 'allowed', isWhole: true })
    await matrix.warm(BEFORE)
    const requests = world.stub.count({})
    await ask({ state: 'in memory', rules: BEFORE, of: 'denied' })
    t.equal(world.stub.count({}), requests, 'nor is it for content that is here')

    // Over TLS nothing is sent from an open file.
    const stopReading = over === 'tls' ? () => {} : await world.beginReading()
    await ask({ state: 'in an open file', rules: BEFORE })
    stopReading()

    await world.deleteOwn()
    await ask({ state: 'after a delete', rules: BEFORE })

    await world.reload(AFTER)
    await ask({ state: 'after a reload', rules: AFTER })

    // Memory begins anew with a reload.
    await matrix.warm(AFTER)
    await ask({ state: 'in memory after a reload', rules: AFTER, of: 'denied' })
    if (over === 'tokens') await world.dropServerKey(AFTER)
    else await world.operate('user', 'rm', 'alice')
    await world.operate('token', 'revoke', 'builder')
    const ended = over === 'tokens' ? WITHOUT_KEY : WITHOUT_ALICE
    await ask({ state: 'after they were ended', rules: AFTER, ended })
    await matrix.warm(AFTER)
    await ask({ state: 'in memory after that', rules: AFTER, ended, of: 'denied' })

    const authority = over === 'tls' ? 'second' : 'first'
    if (over === 'tls') {
      await world.changeAuthorities(AFTER)
      await ask({ state: 'after other authorities', rules: AFTER, ended, authority, isWhole: true })
      await matrix.warm(AFTER)
      await ask({ state: 'in memory after them', rules: AFTER, ended, authority, of: 'denied' })
    }

    // Were a rule left out that the model has, or one obeyed that it has not, it would tell.
    const clean = matrix.leaks.length
    t.comment(`${matrix.cells} cells`)
    const isWhole = over !== 'plain'
    await matrix.ask({ state: 'spoiled', rules: BEFORE, ended, authority, of: 'denied', isWhole })
    t.ok(matrix.leaks.length - clean > 10, 'the matrix finds what is not by the rules')
  })
