// Why a goal is missed, as far as it is known. Kept by hand from profiles, and printed only where
// the goal is missed: look at these again when a verdict changes. bench/where-the-time-goes.md has
// the profiles.

export const SENT_BY_THE_KERNEL =
  'the kernel takes the bytes from the file to the connection, and its work for each segment is nearly all there is: it is the same for ' +
  'whoever sends by sendfile. To it each blob adds a request in Node, an order to a sender thread, and its report.'

export const ENCRYPTED_HERE =
  'through TLS there is no sendfile: each piece is copied from the page cache, encrypted by OpenSSL and copied into the connection, all in ' +
  'the thread that serves. That is the same for all; but node has OpenSSL write into memory of its own first, a copy that others do ' +
  'without and that has left the processor’s caches when the connection takes it, and a piece costs some JavaScript. A second thread ' +
  'gives nothing more where the client that decrypts has one of two cores.'

export const HTTP_IN_NODE =
  'an answer from memory takes no file, no statement and no other thread. What is left is Node’s HTTP server, in JavaScript: it parses the ' +
  'head, makes two objects with their streams, and writes a head, for each request by a system call each to wait, to read and to write. ' +
  'The request log comes after it.'

export const LOADING =
  'what is left is compiling: 4 MB of code, a third of it undici, of which Node reads everything before it runs anything (`--cpu-prof` of a ' +
  'start). The catalog is opened by its thread meanwhile, and the operator’s listener is loaded afterwards. Minified code starts no sooner. ' +
  'An empty directory is made and synced, too, which depends on the disk: in the hour of this row it went from 385 to 703 ms, and by hand ' +
  'a start took 272 ms with an empty directory and 199 with one that was there (7 each).'

export const LOOKED_AT_AT_START =
  'the check of the catalog’s pages (`quick_check`), which reads all of them, is left out after a stop in order; what is looked at otherwise is ' +
  'a sample of 256 rows and their files. What is left grows with what the kernel has to find in a larger file, and chance.'

export const MEMORY_OF_READERS =
  'two threads of JavaScript with their libraries take 130 MiB before anybody asks. Each reader adds some 50 KiB: what Node keeps for a ' +
  'connection, a request and an answer, and what waits for who takes nothing.'

export const STEPS_OF_A_FILL =
  'before the upstream is asked, the catalog is asked whether the repository has the blob and how long it is, and the disk whether it is ' +
  'here; room is looked for and its file made while the upstream thinks. Each is a trip through the thread pool, and on a machine whose ' +
  'cores are taken each trip waits for one. With many clients it is only the first of them that have their first byte later than direct: ' +
  'the upstream answers the first question before it has heard of the others, while the edge hears of all. The middle one has it much sooner.'

export const FOUND_OUT_BY_TRYING =
  'how many connections pay is found out with the first large blobs of an upstream, which begin with one. After that two cores are the ' +
  'limit, which client, edge and upstream share: dockerd 29 alone needs two thirds of the time for an image that is here already. Client ' +
  'and edge hash each byte, which without instructions of the processor for it takes either a third of a second for 98 MB.'

export const MANY_STEPS =
  'a small blob takes a dozen trips through the thread pool (free space, two files made, written, synced and renamed, its directory synced) ' +
  'and a commit of the catalog by another thread. On two cores waking those threads is most of what it costs; hashing and copying its ' +
  'bytes are the smaller part.'

export const SWINGS =
  'resident memory swings by some 40 MiB with what the collector of garbage has not taken yet, and a line through seven minutes of that is ' +
  'mostly chance: look at the series beside it. Whether anything grows would take hours.'

export const TURNS_BESIDE_CLIENTS =
  'the thread pool unlinks some files in each turn of the event loop, and a commit, which many of them share, is waited for twice. Eight ' +
  'clients that ask without a pause fill every turn, and go first; with the process that asks for them they leave the thread that writes the ' +
  'catalog a part of two cores. It is not the disk that bounds it, which alone removes several times as many.'

export const CORES_SHARED_WITH_THE_WRITER =
  'clients that ask without a pause keep both cores busy, and the thread that writes down what leaves is one more: each waits for its slice of them. ' +
  'It works for 0.3 ms and rests for as long while nobody waits for it, in commits of 4 images and of 32 files, and choosing makes way each half ' +
  'millisecond. In alternation (four rounds each, twice, 100,000 blobs) that took it from 2.6 to 2.8 × to 1.6 to 1.7 ×; without the rests it was ' +
  '2.3 ×, with commits as large as before 2.2 ×. Longer rests would let fewer than 2,000 files a second leave.'

export const JUDGED_TWICE =
  'who may not have what is in memory is judged there and once more on the usual way, which is some microsecond of 120: the medians differ by less than one in a ' +
  'hundred, and it takes thousands of requests on a quiet machine to tell. Where there are other requests, or a network, it takes many more.'

export const VERIFIED_ON_ONE_CORE =
  '`cp` verifies nothing, and copies in the kernel. The command hashes what it is sent over a socket, on one core: of 512 MiB in memory the hash ' +
  'alone takes longer than `cp` does.'
