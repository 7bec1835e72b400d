// Goal: an upload's note comes back as it was written, and nothing else is taken for one. Method:
// round trip, and a table of damage.
import t from 'tap'
import { repositoryKey } from '../../../../src/oci/reference.ts'
import { formatUploadNote, parseUploadNote } from '../../../../src/registry/upload/upload-note.ts'
import { localOf } from '../../../kit/engine.ts'

t.test('a note comes back as it was, and is short enough for its file', async t => {
  const repository = repositoryKey(localOf('a'.repeat(245)))
  const note = { repository, algorithm: 'sha512', startedAtMs: 1_767_225_600_000 } as const
  const text = formatUploadNote(note)
  t.same(parseUploadNote(text), note)
  t.ok(text.length <= 1_024)
})

t.test('what was damaged, or written by another version, belongs to nobody', async t => {
  const good = { repository: 'localhost/app', algorithm: 'sha256', startedAtMs: 1 }
  t.ok(parseUploadNote(JSON.stringify(good)))
  const damaged = [
    '',
    '{"repository":"localhost/app"',
    'null',
    '7',
    '[]',
    JSON.stringify({ ...good, repository: '../etc/passwd' }),
    JSON.stringify({ ...good, repository: 7 }),
    JSON.stringify({ ...good, algorithm: 'md5' }),
    JSON.stringify({ ...good, startedAtMs: 'today' }),
  ]
  for (const text of damaged) t.equal(parseUploadNote(text), undefined, text)
})
