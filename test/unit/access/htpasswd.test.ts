// Goal: a file of accounts is read as `htpasswd -B` writes it, whatever else is told by line and
// without its content, and a change leaves all that it is not about. Method: lines that the program
// of Apache's wrote, and such with one thing wrong.
import t from 'tap'
import { addAccount, removeAccount, replacePassword } from '../../../src/access/htpasswd/edit.ts'
import { parseHtpasswd } from '../../../src/access/htpasswd/parse.ts'
import { whyNoAccount } from '../../../src/access/names.ts'

/** By htpasswd of Apache 2.4: -nbB, of the password s3cret. */
const BY_PROGRAM = {
  4: '$2y$04$WQst/BQbtX9zClTqouFhUuE.tjD805IYHk3wUPmyxQZcCFIjbTCs2',
  5: '$2y$05$cPBLXLWAZaJT2oQTi6nGEepUgPflQ7BRqeh411uCAavhP6zXZIOLi',
  12: '$2y$12$SKXkTNS9XCbhIodH2DGS8.WvmVf3Jfit7oxcR7wpDB8L/Z1Krm5hC',
} as const
const HASH = BY_PROGRAM[4]

t.test('R500: bcrypt of costs 4 to 12 is read, by each of its letters', async t => {
  const lines = [
    `alice:${BY_PROGRAM[4]}`,
    `bob:${BY_PROGRAM[12].replace('$2y$', '$2a$')}`,
    `carol:${BY_PROGRAM[5].replace('$2y$', '$2b$')}`,
  ]
  const { entries, faults } = parseHtpasswd(lines.join('\n'))
  t.same(faults, [])
  t.same(
    entries.map(({ name, cost }) => [name, cost]),
    [
      ['alice', 4],
      ['bob', 12],
      ['carol', 5],
    ],
  )
  t.equal(entries[0]?.hash, BY_PROGRAM[4])
})

t.test('R500: comments, blank lines and line ends of other systems are no accounts', async t => {
  const text = `# people: of the site\r\n\r\n  # more\n   \nalice:${HASH}\r\n\n`
  t.same(parseHtpasswd(text), { entries: [{ name: 'alice', hash: HASH, cost: 4 }], faults: [] })
  t.same(parseHtpasswd(''), { entries: [], faults: [] })
})

t.test('R501: what is not bcrypt, broken or double is told by line, never by content', async t => {
  const cases: readonly (readonly [line: string, told: RegExp])[] = [
    ['x:{SHA}EfatjsUqKYSrqv18O1FlA3hcIHI=', /SHA-1/],
    ['x:$apr1$OQEQZBoY$pVkkUgHWhIH1I9oqc6lHV1', /MD5/],
    ['x:$5$U807kxKoTPdsgybP$3aMQM5VvjsVfI7sRIUjKjbW4zyoOMz1VH.Sea5eRIz3', /not bcrypt/],
    ['x:eEo.b.dlMv0VE', /crypt/],
    ['x:secret-in-plain-words', /not bcrypt/],
    [`x:${HASH.replace('$2y$', '$2x$')}`, /faulty version/],
    [`x:${HASH.slice(0, -1)}`, /not whole/],
    [`x:${HASH}:more`, /not whole/],
    [`x:${HASH.replace('$04$', '$03$')}`, /cost 3/],
    [`x:${HASH.replace('$04$', '$13$')}`, /cost 13/],
    ['a name alone', /no colon/],
    [`:${HASH}`, /at least one character/],
    [`x\u200b:${HASH}`, /nobody sees/],
    [`a\u0000b:${HASH}`, /nobody sees/],
    [`${'n'.repeat(256)}:${HASH}`, /255 bytes/],
    [`local:${HASH}`, /rules of access/],
    [`alice:${HASH}`, /name of line 1/],
  ]
  for (const [line, told] of cases) {
    const { entries, faults } = parseHtpasswd(`alice:${HASH}\n${line}\nbob:${HASH}\n`)
    t.equal(faults.length, 1, line)
    t.equal(faults[0]?.line, 2, line)
    t.match(faults[0]?.message, told, line)
    const shown = faults[0]?.message ?? ''
    t.notOk(shown.includes(line.slice(line.indexOf(':') + 1)), `${shown} shows ${line}`)
    t.ok(entries.some(({ name }) => name === 'bob'))
  }
})

t.test('R501: of a file of another kind the first faults are told', async t => {
  const { faults } = parseHtpasswd('no colon\n'.repeat(100_000))
  t.equal(faults.length, 20)
})

t.test('R502: a change leaves comments, order and all other lines as they stand', async t => {
  const text = '# people\nalice:old\n\nbob:{SHA}kept=\nalice:twice'
  t.equal(replacePassword(text, 'alice', 'new'), '# people\nalice:new\n\nbob:{SHA}kept=')
  t.equal(removeAccount(text, 'alice'), '# people\n\nbob:{SHA}kept=')
  t.equal(addAccount('bob:x', 'alice', 'new'), 'bob:x\nalice:new\n')
  t.equal(addAccount('', 'alice', 'new'), 'alice:new\n')
  t.equal(addAccount(text, 'alice', 'new'), undefined)
  t.equal(replacePassword(text, 'people', 'new'), undefined)
  t.equal(removeAccount(text, 'carol'), undefined)
})

t.test('R501: a name is one that a line and a rule can hold', async t => {
  for (const name of ['alice', 'a.b-c_d@example.com', 'Zoë', 'two words']) {
    t.equal(whyNoAccount(name), undefined, name)
  }
  for (const name of ['', 'a:b', '#a', ' a', 'a ', '*', 'anonymous', 'local', 'a\nb'])
    t.ok(whyNoAccount(name), JSON.stringify(name))
})
