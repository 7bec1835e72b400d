// Goal: an operator is told of limits of the storage that can't be meant, where they stand and what
// to do, and the server starts with them. Method: configurations over disks that a test describes.
import t from 'tap'
import { complaints, loadText } from '../../kit/load-text.ts'

const GIB = 1024 ** 3
const disk = { totalBytes: 100 * GIB }

t.test('R332: a limit that the file system has no room for is told', t => {
  const told = (storage: string) => complaints(`storage:\n  ${storage}\n`, { disk })
  t.match(told('maxsize: 200GiB'), [
    /^edge.yaml:2:12: warning: storage.maxsize: cannot be reached: storage.minfree keeps 5% free of the file system of 100GiB that holds .\/data \(did you mean 95GiB\?\)$/,
  ])
  t.same(told('maxsize: 95GiB'), [])
  t.match(told('maxsize: 100%'), [/cannot be reached.*\(did you mean 95%\?\)$/])
  t.match(told('maxsize: 60GiB\n  minfree: 50GiB'), [
    /keeps 50GiB free .*\(did you mean 50GiB\?\)$/,
  ])
  t.match(told('maxsize: 60GiB\n  minfree: 50GiB'), [/: storage.maxsize: /])
  t.end()
})

t.test('R787: a minfree that leaves too little is told where it stands', t => {
  const told = (storage: string) => complaints(`storage:\n  ${storage}\n`, { disk })
  t.same(told('minfree: 95%'), [
    'edge.yaml:2:12: warning: storage.minfree: leaves 5% of the file system of 100GiB that holds ./data: storage.maxsize (80%) cannot be reached (did you mean 20%?)',
  ])
  t.match(told('minfree: 100%'), [/storage.minfree: leaves nothing of .*\(did you mean 20%\?\)$/])
  t.match(told('minfree: 95GiB\n  maxsize: 60GiB'), [
    /:2:12: .*storage.minfree: leaves 5GiB of .*\(60GiB\) cannot be reached \(did you mean 40GiB\?\)$/,
  ])
  // Others may well need so much, and the stricter of the two counts.
  t.match(told('minfree: 30%'), [/storage.minfree: leaves 70% of .* cannot be reached$/])
  t.same(told('minfree: 20%'), [])
  t.match(complaints('storage: { minfree: 95% }'), [
    /storage.minfree: leaves 5% of the file system/,
  ])
  t.end()
})

t.test('R332: shares are compared where nothing is known of the disk', t => {
  t.match(complaints('storage: { maxsize: 90%, minfree: 20% }'), [
    /keeps 20% free of the file system that holds .\/data \(did you mean 80%\?\)$/,
  ])
  t.same(complaints('storage: { maxsize: 90%, minfree: 10% }'), [])
  t.same(complaints('storage: { maxsize: 90GiB, minfree: 20GiB }'), [])
  t.end()
})

t.test('R332: a limit below what is kept is told, and is no fault', t => {
  const around = { disk: { ...disk, keptBytes: 12 * GIB } }
  t.match(complaints('storage:\n  maxsize: 10GiB\n', around), [
    /^edge.yaml:2:12: warning: storage.maxsize: is below what was pushed and is kept here, 12GiB: .*raise it, or delete images$/,
  ])
  t.equal(loadText('storage: { maxsize: 10GiB }', around).kind, 'ok')
  t.same(complaints('storage: { maxsize: 12GiB }', around), [])
  t.end()
})

t.test('a size whose unit was forgotten is told', t => {
  const unit =
    /is \d+ bytes, less than any image: a size needs a unit, such as GiB, and a share its %$/
  t.match(complaints('storage: { maxsize: 200, minfree: 5 }'), [unit, unit])
  const quota = 'upstreams: { docker.io: { quota: { ceiling: 20, floor: 10 } } }'
  t.match(complaints(quota), [unit, unit])
  t.same(complaints('storage: { maxsize: 1MiB, minfree: 0 }'), [])
  t.end()
})
