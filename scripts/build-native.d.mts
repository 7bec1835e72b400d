/** @returns undefined when it is built or was, else why it is not. Never throws. */
export function buildNative(options?: { sanitize?: boolean; output?: string }): string | undefined
