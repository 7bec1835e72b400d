// What passwords and the file that they are in have to fit.

/** It looks at no more of a password, as `htpasswd` and all others that check one do. */
export const BCRYPT_MAX_BYTES = 72

/**
 * Of a file that is read as a whole: no password, certificate or configuration is larger; a device
 * or a log file given by mistake is. What is written anew has to be read again.
 */
export const FILE_MAX_BYTES = 4 * 2 ** 20
