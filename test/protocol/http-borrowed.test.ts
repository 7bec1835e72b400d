// Goal: a further HTTP thread answers as the first one does. Method: whole files of protocol tests
// again, with every question to the registry going through the two ends that a thread has it by,
// over a MessageChannel. Left out is what measures time on one thread.
process.env['BORROWED_REGISTRY'] = '1'

const FILES = [
  'common',
  'deletes',
  'errors',
  'lists',
  'mounts',
  'push-turns',
  'pushes',
  'ranges',
  'streams',
  'upload-pieces',
  'uploads',
]
for (const name of FILES) await import(`./http-${name}.test.ts`)
