// The requirements that this version answers for, in its own words: R numbers, how much hangs on
// each, and what must hold. Tests carry these numbers in their names; docs/protocol.md is this
// table beside those tests. Numbers are never given twice.

/**
 * P0: a mainstream client breaks, or data or credentials leak. P1: a good product has it. P2: worth
 * having.
 */
export type Priority = 'P0' | 'P1' | 'P2'

/** What a requirement is about; docs/protocol.md has a table for each. */
export type Side = 'pull' | 'push'

export interface Requirement {
  readonly id: number
  readonly priority: Priority
  readonly title: string
  readonly side: Side
}

type Row = readonly [id: number, priority: Priority, title: string, side?: Side]

const COMMON: readonly Row[] = [
  [1, 'P0', '/v2/ and /v2 answer 200 with an empty object, or 401; HEAD alike'],
  [2, 'P0', '/v2/ answers at once, whatever upstreams do'],
  [3, 'P0', 'every answer under /v2/ carries the API version header'],
  [4, 'P0', 'HTTP/1.1 with keep-alive, with and without TLS'],
  [5, 'P0', 'HEAD has the headers of GET and no body'],
  [6, 'P0', 'manifests and blobs are never content-encoded'],
  [7, 'P0', 'manifests and blobs have a Content-Length, never chunks'],
  [8, 'P0', 'answers about content name its digest, in the algorithm that was asked for'],
  [9, 'P0', 'Content-Type is the stored media type, without parameters'],
  [10, 'P1', 'ETag is the digest; If-None-Match in every form gives 304'],
  [11, 'P1', 'Cache-Control suits what was asked: by digest, by tag, private, errors'],
  [12, 'P0', 'several Accept headers and one joined header mean the same'],
  [13, 'P1', 'Warning headers have the one form that clients read, within 4,096 bytes'],
  [14, 'P1', 'requests to upstreams carry a User-Agent; that of clients decides nothing'],
  [15, 'P0', '100 Continue only after every check of the head', 'push'],
  [16, 'P0', 'no redirects to clients'],
  [17, 'P1', 'a trailing slash is served directly where it is allowed, never redirected'],
  [18, 'P1', 'a cold blob is streamed while it is downloaded'],
  [19, 'P1', 'unknown query parameters are ignored, unknown methods get 405 with Allow'],
  [20, 'P2', 'no cross-origin headers unless configured'],
]

const NAMES: readonly Row[] = [
  [21, 'P0', 'repository names by the grammar, at most 255 characters with their host'],
  [22, 'P0', 'tags by the grammar; what contains a colon is a digest'],
  [23, 'P0', 'digests are sha256 or sha512 in lower-case hex; others are opaque inside manifests'],
  [24, 'P0', 'routes are parsed from the right; components may be called like routes'],
  [25, 'P0', 'the raw target is parsed: no dot segments, encoded slashes or backslashes in names'],
  [
    26,
    'P0',
    'the upstream comes from ns, prefix, host name or default; unknown ones are never dialled',
  ],
  [27, 'P0', 'every alias of Docker Hub is one upstream'],
  [28, 'P0', 'ns works together with a path prefix'],
  [29, 'P0', 'every form of URL leads to the same repository, and answers keep the form'],
  [30, 'P0', 'the ping works behind a path prefix'],
  [31, 'P0', 'one-component names of Docker Hub, and only of it, get library/'],
  [32, 'P1', 'OCI-Namespace repeats the namespace that ns chose'],
  [33, 'P0', 'names of two upstreams never mix'],
  [34, 'P1', 'prefixes of upstreams are reserved', 'push'],
]

const MANIFESTS: readonly Row[] = [
  [35, 'P0', 'a manifest is served byte for byte'],
  [36, 'P0', 'a manifest is verified before its first byte is sent'],
  [
    37,
    'P0',
    'image manifests and indexes of OCI and Docker are understood, others kept as they are',
  ],
  [38, 'P0', 'upstreams are asked for every media type, whatever the client accepts'],
  [39, 'P0', 'Accept decides by tag only, and never leads to 406 or a conversion'],
  [40, 'P1', 'HEAD without Accept works'],
  [41, 'P2', 'schema 1 is refused and never kept'],
  [42, 'P0', 'manifests up to 4 MiB; larger ones are cut off while reading'],
  [43, 'P0', 'digests that are asked for in the wrong place get a clean 404'],
  [44, 'P0', 'HEAD on a cold tag costs a HEAD upstream, not a GET'],
  [45, 'P1', 'ranges of manifests are ignored'],
]

const BLOBS: readonly Row[] = [
  [46, 'P0', 'blobs of this repository, with Accept-Ranges; others are 404'],
  [47, 'P0', 'GET without Range is exactly 200'],
  [48, 'P0', 'single ranges in three forms, clamped to the end'],
  [49, 'P0', 'bytes=0- is a 206, cold blobs included'],
  [50, 'P0', 'ranges of one blob are answered alike from first to last'],
  [51, 'P0', 'an open range reaches the end'],
  [52, 'P0', 'an aborted range frees everything and disturbs no fill'],
  [53, 'P0', '416 with the size when nothing can be satisfied; malformed ranges are ignored'],
  [54, 'P0', 'several ranges give one part each, in order'],
  [55, 'P0', 'one range is never multipart'],
  [56, 'P0', 'request headers of 64 KiB are accepted'],
  [57, 'P0', 'too many ranges give 400, never another error'],
  [58, 'P0', 'multipart boundaries are letters and digits'],
  [59, 'P1', 'ranges longer than the blob together give all of it'],
  [60, 'P0', 'If-Range decides between 206 and 200'],
  [61, 'P0', 'a range of a cold blob is answered at once, wherever it lies'],
  [62, 'P0', 'HEAD on a cold blob downloads nothing'],
  [63, 'P0', 'empty blobs are served, and have no ranges'],
  [64, 'P1', 'foreign layers are not fetched, and their absence is no fault'],
]

const LISTS: readonly Row[] = [
  [65, 'P0', 'tag lists in ASCII order, under the name that was asked for'],
  [66, 'P0', 'n and last by the specification; a wrong n is 400'],
  [67, 'P0', 'Link is a path that keeps prefix and ns'],
  [68, 'P0', 'upstream pages are followed by their Link, on the same host, sorted and merged'],
  [69, 'P1', 'refused tag lists are passed on without retries'],
  [70, 'P1', 'tag lists are fresh for a short while, and stale only when the upstream fails'],
  [71, 'P1', '_catalog tells of what is here, and can be switched off'],
  [72, 'P2', 'names that begin with _ are reserved'],
  [73, 'P0', 'referrers are always 200 with an index, empty when there are none'],
  [74, 'P0', 'referrers are listed with artifact type and annotations'],
  [75, 'P0', 'artifactType filters, several mean any, and the answer says so'],
  [76, 'P1', 'referrers answers stay below 4 MiB and end with their document'],
  [77, 'P0', 'upstreams without the referrers API are read by the fallback tag'],
  [78, 'P0', 'a failing upstream never looks like no referrers'],
  [79, 'P0', 'subjects of pushed manifests are indexed', 'push'],
  [80, 'P1', 'deleted referrers leave the list at once', 'push'],
  [81, 'P1', 'signature tags are ordinary tags whose absence is kept only briefly'],
]

const ENGINE: readonly Row[] = [
  [82, 'P0', 'one download for any number of clients, each at its own speed'],
  [83, 'P0', 'a fill outlives its client, and slow clients slow nobody'],
  [84, 'P0', 'joining a fill takes a right of one’s own'],
  [85, 'P0', 'the last bytes wait until length and digest are right; else the connection breaks'],
  [86, 'P0', 'a crash at any point leaves no wrong blob'],
  [87, 'P1', 'a broken download resumes where it stopped'],
  [88, 'P0', 'tags are revalidated by HEAD; GET only for what is not here'],
  [89, 'P0', 'stale answers when the upstream fails, never when it refuses'],
  [90, 'P1', 'a tag moves at once for everybody; pulls of the old digest complete'],
  [91, 'P0', 'what was announced can be delivered: no manifest offline without its blobs'],
  [92, 'P0', 'upstream failures become the status that clients handle best, never 401'],
  [93, 'P1', 'a dead upstream is answered for in milliseconds'],
  [94, 'P1', 'absence is kept for seconds, failures are never kept as absence'],
  [95, 'P1', 'an index does not bring its platforms along'],
  [96, 'P1', 'bytes are shared between repositories, rights are not'],
  [97, 'P1', 'nothing that is needed is ever collected'],
  [98, 'P2', 'indexes of lazy pulls pass like other content'],
  [291, 'P1', 'what a HEAD told of is here for the next client'],
]

const PUSHES: readonly Row[] = [
  [99, 'P0', 'an upload has an id that cannot be guessed, and outlives a restart', 'push'],
  [100, 'P0', 'one POST with the digest and the content is the whole push', 'push'],
  [101, 'P0', 'an upload ends with all, the last, or none of the content', 'push'],
  [102, 'P0', 'pieces have their place; out of order they are 416 with the state', 'push'],
  [103, 'P0', 'content without a length is appended', 'push'],
  [104, 'P0', 'a wrong length or digest is 400, and there is no blob', 'push'],
  [105, 'P0', 'the digest at the end decides the algorithm', 'push'],
  [106, 'P0', 'the state of an upload can be asked for', 'push'],
  [107, 'P0', 'an upload can be cancelled', 'push'],
  [108, 'P1', 'pieces have no least length', 'push'],
  [109, 'P0', 'blobs are mounted from other repositories, or an upload begins', 'push'],
  [110, 'P0', 'what came before a break counts; abandoned uploads go away', 'push'],
  [111, 'P0', 'manifests are kept byte for byte and named by their digest', 'push'],
  [112, 'P1', 'several tags with one manifest', 'push'],
  [113, 'P0', 'a manifest whose references are missing is refused, unless configured', 'push'],
  [115, 'P0', 'a push is visible at once; the last of two to one tag wins', 'push'],
  [116, 'P1', 'each namespace has its way to push, and a refusal says the way out', 'push'],
  [117, 'P1', 'what goes on upstream goes in order, streamed or tried again', 'push'],
  [118, 'P0', 'tags, manifests and blobs can be deleted, or all of them not', 'push'],
  [119, 'P0', 'a delete never reaches an upstream', 'push'],
  [265, 'P0', 'a forwarded push keeps its tag from what was queued before it', 'push'],
  [266, 'P0', 'a queued push takes no tag that was not known when it was pushed', 'push'],
  [268, 'P0', 'deliveries to one registry hold up no other’s', 'push'],
  [269, 'P1', 'a write or delete that is refused leaves nothing behind', 'push'],
  [
    270,
    'P1',
    'who pushes while the upstream is away gets to the push, and is told what to do',
    'push',
  ],
  [267, 'P0', 'what a pushed index needs is kept with it, down to the last blob', 'push'],
  [
    264,
    'P0',
    'what was acknowledged outlives a lost catalog, also when its bytes were gone then',
    'push',
  ],
  [120, 'P1', 'tags may be immutable', 'push'],
]

const ERRORS: readonly Row[] = [
  [114, 'P0', 'empty lists and members of other tools in manifests are accepted'],
  [121, 'P0', 'every error is JSON in the envelope of the specification'],
  [122, 'P0', 'error codes have their status'],
  [123, 'P0', 'messages hold no secrets, internal names or paths'],
  [124, 'P0', '429 and 503 carry Retry-After'],
  [125, 'P1', 'limits of one’s own spare pings and cache hits'],
  [126, 'P0', 'limits answer with a proper code, and reads go on when the disk is full'],
  [129, 'P0', 'challenges are written one per line, parameters quoted'],
  [134, 'P0', 'scopes may name hosts with ports'],
  [293, 'P1', 'an outage is said in the first line of its answer, which clients print'],
]

const UPSTREAM: readonly Row[] = [
  [140, 'P0', 'challenges are parsed in every form that registries write'],
  [141, 'P0', 'credentials go only to realms that belong to the registry'],
  [142, 'P0', 'tokens are fetched in the way that each server takes'],
  [143, 'P0', 'tokens are kept by realm, service, scope and credential, and fetched once'],
  [144, 'P0', 'a refused token is renewed once'],
  [145, 'P0', 'redirects are followed by hand, without credentials on another host'],
  [146, 'P0', 'signed redirect targets are not used again'],
  [147, 'P0', 'content is asked for without encoding, and encoded answers are not believed'],
  [148, 'P0', 'upstreams are asked for single ranges only'],
  [149, 'P0', 'retries with back-off within 25 seconds, none after refusals'],
  [150, 'P0', 'connect, headers and silence have time limits, a whole blob has none'],
  [151, 'P1', 'several endpoints in order; absence at a mirror is not final'],
  [152, 'P1', 'proxies, certificate authorities and client certificates per upstream'],
  [153, 'P1', 'connections per upstream are bounded'],
  [154, 'P0', 'Docker Hub'],
  [155, 'P0', 'GHCR'],
  [156, 'P1', 'Quay'],
  [157, 'P0', 'ECR, private and public'],
  [158, 'P1', 'GCR and Artifact Registry'],
  [159, 'P1', 'registry.k8s.io'],
  [160, 'P1', 'MCR'],
  [161, 'P1', 'ACR'],
  [162, 'P1', 'GitLab'],
  [163, 'P1', 'Harbor'],
  [164, 'P1', 'Artifactory and Nexus'],
  [165, 'P1', 'what is special about a registry is a record, not code'],
  [257, 'P0', 'what something else answers in a registry’s place is an outage, never a verdict'],
  [258, 'P0', 'a HEAD that says 404 is believed only when a GET says the same'],
  [259, 'P0', 'a blob that its registry or its storage cannot give does not cut off the registry'],
  [
    260,
    'P0',
    'what a mirror gives wrong comes from the registry, and a mirror that gave other bytes is left out',
  ],
  [305, 'P1', 'an upstream that is back is noticed within half a minute, while somebody wants it'],
  [261, 'P1', 'a HEAD that is answered in an encoding tells no size'],
  [262, 'P1', 'who can be given an old answer does not wait for an upstream that is not there'],
  [263, 'P0', 'names that clients make up hold up no look-up of a configured upstream'],
]

const SECURITY: readonly Row[] = [
  [178, 'P0', 'rights are checked before existence could show'],
  [179, 'P0', 'a digest is served only where it is known to belong'],
  [180, 'P0', 'whose credentials read private content is said in the configuration'],
  [181, 'P0', 'revoked rights end within a known time'],
  [182, 'P0', 'mounting takes the right to pull the source', 'push'],
  [183, 'P1', 'pushes tell nothing of what others have', 'push'],
  [184, 'P0', 'bytes are verified again after they were written'],
  [185, 'P0', 'no document is two things, or named twice'],
  [186, 'P0', 'parsers are bounded'],
  [187, 'P0', 'descriptors are data: grammar and size are checked, urls are not followed'],
  [188, 'P0', 'connections go only to checked addresses'],
  [189, 'P0', 'foreign layer URLs are not followed'],
  [190, 'P0', 'what goes into headers is valid by its grammar'],
  [191, 'P0', 'paths in storage come from digests and generated ids only'],
  [192, 'P0', 'ambiguous HTTP is refused'],
  [193, 'P1', 'slow clients hold no memory'],
  [194, 'P0', 'nothing pushed can stand under an upstream’s name', 'push'],
  [195, 'P0', 'secrets stay out of logs, errors and metrics'],
  [196, 'P1', 'the operator’s surface is another listener'],
  [243, 'P0', 'without an account only a client that somebody runs on the machine writes', 'push'],
  [
    244,
    'P0',
    'where others are meant to come, nobody writes without an account unless told so',
    'push',
  ],
  [245, 'P0', 'the operator’s API is on the Unix socket alone'],
  [246, 'P0', 'web pages are not answered, from memory neither'],
  [247, 'P1', 'the names that are answered can be listed'],
  [248, 'P1', 'credentials that are nobody’s are refused, and none are asked for'],
  [250, 'P0', 'naming a digest as a foreign layer is no right to it'],
  [251, 'P0', 'what a manifest is in one repository is not for another to say'],
  [
    252,
    'P0',
    'what one registry delivered is not opened by the word of a stranger, nor what is private by any',
  ],
  [253, 'P1', 'a wrong size in a manifest costs nobody a good blob, and makes no HEAD lie'],
  [254, 'P0', 'what the operator keeps out is not there, whatever of it is here'],
  [255, 'P0', 'what only a deleted image lists is not readable there any more'],
  [
    308,
    'P0',
    'where what forwards others calls from loopback as a client would, nobody pushes by default',
  ],
  [302, 'P0', 'what is mended while its file is in doubt is given as it is now'],
  [301, 'P1', 'a last copy in the quarantine counts, and stays for as long as a repository has it'],
  [296, 'P0', 'a blob that was acknowledged stays for its push, whatever else is deleted'],
  [303, 'P0', 'what an edge gave before an upgrade it gives after it, without a line'],
]

const SUITES: readonly Row[] = [
  [284, 'P0', 'what can be no tag is 404 to who asks for a manifest by it, 400 to who pushes'],
  [285, 'P0', 'a repository that was pushed to stays known when its last manifest is deleted'],
  [287, 'P1', 'a Content-Range of an upload that is none is 416'],
  [288, 'P1', 'each blob that a pushed manifest lacks has an error of its own'],
  [289, 'P1', 'embedded data that is not its descriptor’s content is taken with a warning'],
  [295, 'P1', 'what finds no room is told so at once, and the operator how much was missing'],
  [290, 'P2', 'the command line and check say what is, and what can be done'],
  [304, 'P1', 'a configuration that is faulty now hides nothing of the server that runs'],
  [286, 'P1', '_catalog lists names as they are pushed to this edge, and holds up nobody'],
]

const BOUNDS: readonly Row[] = [
  [271, 'P0', 'a file of another length than recorded is no content'],
  [272, 'P0', 'one bogus answer in the middle of a download is a failed attempt'],
  [273, 'P0', 'lists of referrers are bounded, and what nobody has leaves nothing behind'],
  [274, 'P0', 'one pusher keeps no other from pushing'],
  [275, 'P1', 'the limit that is told can be reached'],
  [276, 'P1', 'who is slow or many holds no place and no room for ever'],
  [277, 'P1', 'what is secret here is closed to other users and programs'],
]

const PLATFORM: readonly Row[] = [
  [227, 'P0', 'the header limit of the server is raised'],
  [228, 'P0', 'no time limit cuts a long transfer'],
  [229, 'P0', 'malformed requests get JSON'],
  [230, 'P0', 'upstream answers are read raw'],
  [231, 'P0', 'a failed body ends the connection, never the answer'],
  [232, 'P1', 'hashing does not block'],
  [233, 'P1', 'files are read in large pieces'],
  [234, 'P1', 'only paths are targets; absolute forms are refused'],
  [236, 'P1', 'stopping lets running answers finish'],
  [242, 'P1', 'every parser is fuzzed'],
  [278, 'P0', 'a log that cannot be written costs its lines, and never serving or stopping'],
  [299, 'P1', 'npm start ends with its server, or starts none, whatever its output takes'],
  [279, 'P1', 'a terminal that is closed ends what was started in it'],
  [280, 'P0', 'all that an install brings is locked by its digest, and none of it runs a script'],
  [
    281,
    'P1',
    'where the Node of the install does not start, another does, or a line says what helps',
  ],
  [300, 'P1', 'who asks whether it is ready is told of a part that fails or hangs'],
  [282, 'P1', 'a service is installed by the letter, on the Node that the install brings'],
  [283, 'P1', 'what waits for a restart is told until it comes'],
]

const ROWS = [
  COMMON,
  NAMES,
  MANIFESTS,
  BLOBS,
  LISTS,
  ENGINE,
  PUSHES,
  ERRORS,
  UPSTREAM,
  SECURITY,
  BOUNDS,
  SUITES,
  PLATFORM,
]

export const REQUIREMENTS: readonly Requirement[] = ROWS.flat().map(
  ([id, priority, title, side = 'pull']) => ({ id, priority, title, side }),
)

/** P0 requirements that no test proves, each with its reason. */
export const UNPROVEN: ReadonlyMap<number, string> = new Map([
  [180, 'waits for accounts: until then everybody may read what this edge may read'],
  [181, 'waits for accounts'],
])
