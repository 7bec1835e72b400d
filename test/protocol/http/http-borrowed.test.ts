// Goal: a further HTTP thread answers as the first one does. Method: whole files of protocol tests
// again, with every question to the registry going through the two ends that a thread has it by,
// over a MessageChannel. Left out is what measures time on one thread.
process.env['BORROWED_REGISTRY'] = '1'

const FILES = [
  './http-common',
  '../delete/http-deletes',
  './http-errors',
  '../pull/http-lists',
  '../push/http-mounts',
  '../push/http-push-turns',
  '../push/http-pushes',
  '../pull/http-ranges',
  '../pull/http-streams',
  '../push/http-upload-pieces',
  '../push/http-uploads',
]
for (const name of FILES) await import(`${name}.test.ts`)
