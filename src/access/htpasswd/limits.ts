// What bcrypt is, as far as passwords have to fit it.

/** It looks at no more of a password, as `htpasswd` and all others that check one do. */
export const BCRYPT_MAX_BYTES = 72
