// Why a goal is missed, as far as it is known. Kept by hand from profiles, and printed only where the goal is missed: look at these
// again when a verdict changes. bench/where-the-time-goes.md has the profiles.

export const THROUGH_NODE =
  'the bytes pass through Node: each piece is read by a thread of its pool, copied into a buffer of the process and copied out again ' +
  'by the main thread, where the others let the kernel send the file.'

export const FROM_DISK =
  'nothing is kept in memory: each request looks into SQLite, then opens, reads and closes a file, each of them a trip through the ' +
  'thread pool. In a profile these are most of the time, and the request log comes after them.'

export const LOADING =
  'nearly all of it is loading and compiling the modules of the libraries, some hundreds of files; the catalog and the store take little ' +
  'when they are empty.'

export const STEPS_OF_A_FILL =
  'a fill looks into the catalog, makes its file, opens it for readers, asks the upstream, writes down what it was promised, and writes the ' +
  'first bytes before it reads them back: each a trip through the thread pool, one after the other. On a machine whose cores are taken each ' +
  'trip waits for one.'

export const ONE_CONNECTION =
  'a blob is fetched by one connection, and only when the client asks for it.'

export const MANY_STEPS =
  'a small blob takes a dozen trips through the thread pool (free space, two files made, written, synced and renamed, its directory synced) ' +
  'and a commit of the catalog by another thread. On two cores waking those threads is most of what it costs; hashing and copying its ' +
  'bytes are the smaller part.'
