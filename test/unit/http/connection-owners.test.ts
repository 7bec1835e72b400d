// Goal: whom the other end of a connection belongs to is read as Linux lists it, wherever the line
// stands, and whatever says nothing is taken for nothing. Method: lists as kernels write them, in
// files of the test's own; and one connection of this very process.
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { endianness, tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Connection, createConnectionOwners } from '../../../src/http/connection-owners.ts'

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const REST = '00000000:00000000 00:00000000 00000000'
const IS_LITTLE = endianness() === 'LE'

/** As the kernel writes an address: word by word, each as it lies in memory. */
function hex(bytes: readonly number[]): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += 4) {
    const word = Buffer.from(bytes.slice(at, at + 4))
    text += (IS_LITTLE ? word.reverse() : word).toString('hex').toUpperCase()
  }
  return text
}

const V4 = hex([127, 0, 0, 1])
const MAPPED = hex([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1])
const V6 = hex([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])

interface Row {
  readonly address?: string
  readonly from: string
  readonly to: string
  readonly uid: number
  readonly state?: string
  readonly inode?: number
}

let number = 0

function line({ address = V4, from, to, uid, state = '01', inode = 71_593 }: Row): string {
  number += 1
  const ends = `${address}:${from} ${address}:${to}`
  return `${String(number).padStart(4)}: ${ends} ${state} ${REST} ${String(uid).padStart(5)}        0 ${inode} 2 0000000039a7615a 20 0 0 10 -1                     \n`
}

/** The client's port is 0x953E, the server's 0x1388. */
const CONNECTION: Connection = {
  remoteAddress: '127.0.0.1',
  remotePort: 0x953e,
  localAddress: '127.0.0.1',
  localPort: 0x1388,
}
const ROW = { from: '953E', to: '1388' }
/** Our own end, which is anybody's but the client's. */
const OURS = line({ from: '1388', to: '953E', uid: 0 })

const directory = mkdtempSync(join(tmpdir(), 'owners-'))
t.teardown(() => rmSync(directory, { recursive: true }))

function owners(tcp: string, tcp6: string | undefined = HEAD) {
  const [four, six] = [join(directory, 'tcp'), join(directory, 'tcp6')]
  writeFileSync(four, tcp)
  if (tcp6 === undefined) rmSync(six, { force: true })
  else writeFileSync(six, tcp6)
  return createConnectionOwners([four, six])
}

const UNLISTED = { kind: 'unknown', reason: /not in \/proc\/net\/tcp/ }

t.test('R243: the user of the program at the other end, in either list', async t => {
  const mapped = {
    ...CONNECTION,
    remoteAddress: '::ffff:127.0.0.1',
    localAddress: '::ffff:127.0.0.1',
  }
  const v6 = { ...CONNECTION, remoteAddress: '::1', localAddress: '::1' }
  const user = { kind: 'user', uid: 33 }
  const four = HEAD + OURS + line({ ...ROW, uid: 33 })
  t.same(await owners(four).find(CONNECTION), user)
  t.same(await owners(four).find(mapped), user, 'as a listener for both families has it')
  const six = (address: string) => HEAD + line({ ...ROW, address, uid: 33 })
  t.same(await owners(HEAD + OURS, six(MAPPED)).find(mapped), user, 'by an IPv6 socket')
  t.same(await owners(HEAD, six(V6)).find(v6), user)
})

t.test('what is not the other end says nothing of it', async t => {
  for (const [what, rows] of [
    ['an empty list', ''],
    ['our own end', OURS],
    ['another port', line({ from: '953F', to: '1388', uid: 0 })],
    ['another server', line({ from: '953E', to: '1389', uid: 0 })],
    ['another address', line({ ...ROW, address: hex([127, 0, 0, 2]), uid: 0 })],
    ['a socket that no program has any more', line({ ...ROW, uid: 0, inode: 0, state: '05' })],
    ['a line without its end', line({ ...ROW, uid: 0 }).slice(0, 70)],
    ['no line', 'nothing that a kernel writes\n'],
  ] as const) {
    t.match(await owners(HEAD + rows).find(CONNECTION), UNLISTED, what)
  }
  t.match(await owners(HEAD).find({}), { kind: 'unknown', reason: /gone/ })
})

t.test('a list of many pieces is read to its end, wherever it is cut', async t => {
  const many = Array.from({ length: 3_000 }, (_, at) =>
    line({ from: at.toString(16).toUpperCase().padStart(4, '0'), to: '1389', uid: 0 }),
  )
  for (const shift of [0, 1, 37, 149]) {
    const text = `${HEAD}${' '.repeat(shift)}\n${many.join('')}${line({ ...ROW, uid: 1_000 })}`
    t.same(await owners(text).find(CONNECTION), { kind: 'user', uid: 1_000 })
  }
})

t.test('where the system has no such list nobody is known, and it says so', async t => {
  const none = createConnectionOwners([join(directory, 'none'), join(directory, 'none6')])
  t.match(await none.find(CONNECTION), { kind: 'unknown', reason: /none cannot be read: ENOENT/ })
  const four = HEAD + line({ ...ROW, uid: 5 })
  t.same(await owners(four, undefined).find(CONNECTION), { kind: 'user', uid: 5 }, 'without IPv6')
})

t.test('it is found once for a connection, and looked for again where it was not', async t => {
  const found = owners(HEAD + line({ ...ROW, uid: 7 }))
  t.equal(found.known(CONNECTION), undefined)
  await found.find(CONNECTION)
  writeFileSync(join(directory, 'tcp'), HEAD + line({ ...ROW, uid: 0 }))
  t.same(await found.find(CONNECTION), { kind: 'user', uid: 7 })
  t.same(found.known(CONNECTION), { kind: 'user', uid: 7 })
  const again = { ...CONNECTION }
  t.same(await found.find(again), { kind: 'user', uid: 0 }, 'another connection is another')

  const late = owners(HEAD)
  t.match(await late.find(again), UNLISTED)
  t.equal(late.known(again), undefined)
  writeFileSync(join(directory, 'tcp'), HEAD + line({ ...ROW, uid: 8 }))
  t.same(await late.find(again), { kind: 'user', uid: 8 })
})

/** A list that is read only when the test says so: each reading waits for it. */
function heldList(path: string) {
  const make = () => execFileSync('mkfifo', [path])
  make()
  return {
    /**
     * Resolves once it is being read, and with what lets the reading end, with nothing in it.
     * `isLast`: none is held after it.
     */
    async reading({ isLast = false } = {}): Promise<() => Promise<void>> {
      const held = await open(path, 'w')
      // The next reading is not to take this one's end for its own.
      rmSync(path)
      if (isLast) writeFileSync(path, HEAD)
      else make()
      return () => held.close()
    },
  }
}

t.test('a line that was missed while the lists were read is found by a second look', async t => {
  const [four, six] = [join(directory, 'moving'), join(directory, 'moving6')]
  const list = heldList(six)
  writeFileSync(four, HEAD)
  const system = createConnectionOwners([four, six])
  const nobody = system.find({ ...CONNECTION, remotePort: 1 })
  const firstLook = await list.reading()
  // They come while somebody is looked for, and are looked for together.
  const both = Promise.all([CONNECTION, { ...CONNECTION, remotePort: 0x953f }].map(system.find))
  await firstLook()
  const secondLook = await Promise.race([list.reading(), nobody.then(() => undefined)])
  if (secondLook === undefined) {
    // Whoever waits to write waits no more.
    closeSync(openSync(six, constants.O_RDONLY | constants.O_NONBLOCK))
    t.fail('it was looked for once only')
    return
  }
  writeFileSync(four, HEAD + line({ from: '953F', to: '1388', uid: 10 }))
  await secondLook()
  t.match(await nobody, UNLISTED, 'two looks are all')
  const thirdLook = await list.reading({ isLast: true })
  writeFileSync(four, HEAD + line({ ...ROW, uid: 9 }))
  await thirdLook()
  t.same(
    (await both).map(owner => 'uid' in owner && owner.uid),
    [9, 10],
  )
})

t.test('all who ask at once are told their own', async t => {
  const ports = Array.from({ length: 50 }, (_, at) => 0x4000 + at)
  const text = ports.map(port =>
    line({ from: port.toString(16).toUpperCase(), to: '1388', uid: port }),
  )
  const asked = owners(HEAD + text.join(''))
  const answers = await Promise.all(
    ports.map(remotePort => asked.find({ ...CONNECTION, remotePort })),
  )
  t.same(
    answers,
    ports.map(uid => ({ kind: 'user', uid })),
  )
})

t.test('a connection of this very process', async t => {
  const server = createServer().listen(0, '::')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const system = createConnectionOwners()
  for (const host of ['127.0.0.1', '::1']) {
    const accepted = once(server, 'connection')
    const client = connect(port, host)
    const [socket] = (await accepted) as [Socket]
    t.same(await system.find(socket), { kind: 'user', uid: process.geteuid?.() }, host)
    client.destroy()
    socket.destroy()
  }
})
