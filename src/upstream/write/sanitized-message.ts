// What may be repeated of an upstream's error message (R123): the words that help a person who
// pushed, and nothing that is an address or a secret. What remains is somebody else's text: for
// reading, never for parsing.

/** A sentence or two; what registries add after that is a stack trace or a page. */
const MESSAGE_CHARACTERS = 200

const LEFT_OUT: readonly RegExp[] = [
  // URLs, with their signatures, and addresses without a scheme.
  /[a-z][a-z0-9+.-]*:\/\/\S*/giu,
  /(?<![\w/])\/\/\S+/gu,
  // Query strings: `?X-Amz-Signature=…`, `&sig=…`.
  /\S*[?&][\w.-]+=\S*/gu,
  // Files and paths from the root.
  /(?<![\w/])\/[\w.-]+\/\S*/gu,
  // Hosts with a port, which a short number after a name without dots is not: `node:26`. And
  // addresses.
  /(?<![\w.:-])[\w-]+(?:\.[\w-]+)+:\d{2,5}\b/gu,
  /(?<![\w.:-])[\w-]+:\d{4,5}\b/gu,
  /\b\d{1,3}(?:\.\d{1,3}){3}\b(?::\d+)?/gu,
  /\[[0-9a-f:.]+\](?::\d+)?/giu,
  // Credentials by name or by form.
  /\b(?:bearer|basic)\s+[\w+/=.~-]{8,}/giu,
  /\b(?:access[_-]?key|api[_-]?key|authorization|credential|passw(?:or)?d|secret|sig|signature|token)s?["']?\s*[=:]\s*\S+/giu,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/gu,
]

/** Digests are public, and what a message is about. Everything else of this length is a token. */
const DIGEST_OR_LONG = /\bsha(?:256|512):[0-9a-f]{64,128}\b|[\w+=~-]{32,}/giu

/** Undefined when nothing is left to tell. */
export function sanitizeMessage(message: string): string | undefined {
  // Beyond a few times the limit nothing can come into the result, and patterns cost time.
  let text = message.slice(0, MESSAGE_CHARACTERS * 10).replace(/[\p{C}\p{Z}]+/gu, ' ')
  for (const pattern of LEFT_OUT) text = text.replace(pattern, '…')
  text = text.replace(DIGEST_OR_LONG, found => (/^sha(256|512):/i.test(found) ? found : '…'))
  const sanitized = Array.from(text.trim()).slice(0, MESSAGE_CHARACTERS).join('').trim()
  return /\p{L}/u.test(sanitized) ? sanitized : undefined
}
