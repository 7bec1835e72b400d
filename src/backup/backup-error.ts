/** Why a backup cannot be written, believed or brought back, for people. */
export class BackupError extends Error {
  constructor(message: string, options: { cause?: unknown } = {}) {
    super(message, options)
    this.name = 'BackupError'
  }
}

const WHY: Readonly<Record<string, string>> = {
  ENOSPC: 'its file system is full',
  EDQUOT: 'its file system gives no more',
  ENOENT: 'it is not there',
  ENOTDIR: 'it is no directory',
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EROFS: 'its file system is read-only',
  EIO: 'the disk failed',
}

/** Of what the system said. */
export function whyNot(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return WHY[code] ?? (code === '' ? String(error) : code)
}

/** @throws BackupError for what the system refuses */
export async function orTold<T>(doing: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error)) throw error
    throw new BackupError(`${doing}: ${whyNot(error)}`, { cause: error })
  }
}
