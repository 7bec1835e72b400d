// Where a list goes on that had to end behind something which who asks may not see: the place, so
// that nobody but this process can read it. Sealed twice, it is two texts.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { RegistryError } from '../oci/errors.ts'

export interface Cursors {
  /** For a `last` that this process reads, and nobody else. */
  seal(position: string): string
  /**
   * What a `last` stands for: what was sealed, and what clients write as it is.
   * @throws RegistryError PAGINATION_NUMBER_INVALID for what another process sealed
   */
  open(last: string): string
}

export const CURSOR_KEY_BYTES = 32
const ALGORITHM = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** No name begins like it. */
const MARK = '~'
/** More than any position has, so that the length says nothing: keys have 255 characters. */
const POSITION_BYTES = 512
const FILLED_BY = '\0'

/** `key`: the same on all threads of a process. */
export function createCursors(key: Uint8Array): Cursors {
  return {
    seal(position) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(ALGORITHM, key, nonce)
      const plain = Buffer.from(position.padEnd(POSITION_BYTES, FILLED_BY))
      const sealed = Buffer.concat([nonce, cipher.update(plain), cipher.final()])
      return `${MARK}${Buffer.concat([sealed, cipher.getAuthTag()]).toString('base64url')}`
    },
    open(last) {
      if (!last.startsWith(MARK)) return last
      try {
        return unseal(Buffer.from(last.slice(MARK.length), 'base64url'), key)
      } catch (cause) {
        const message = 'this list was begun before a restart, or elsewhere: begin without last'
        throw new RegistryError('PAGINATION_NUMBER_INVALID', message, { cause })
      }
    },
  }
}

/** @throws where it is not what this key sealed */
function unseal(bytes: Buffer, key: Uint8Array): string {
  const nonce = bytes.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  const plain = [decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]
  return Buffer.concat(plain).toString().replaceAll(FILLED_BY, '')
}
