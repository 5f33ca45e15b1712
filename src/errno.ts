/** What the system's error codes mean, grouped as a person meets them. Each place says it in its own words. */

export type Refusal =
  | 'full'
  | 'too-large'
  | 'denied'
  | 'read-only'
  | 'missing'
  | 'gone'
  | 'busy'
  | 'failing'
  | 'too-many-links'

const refusals: Readonly<Record<string, Refusal>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'too-large',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'read-only',
  ENOENT: 'missing',
  ENOTDIR: 'missing',
  ENXIO: 'gone',
  ENODEV: 'gone',
  ENOMEDIUM: 'gone',
  EBUSY: 'busy',
  // A lock on a Mac.
  EAGAIN: 'busy',
  EIO: 'failing',
  EMLINK: 'too-many-links',
}

/** @param error what was thrown, or its code; @returns undefined for one that is not listed here */
export function refusalOf(error: unknown): Refusal | undefined {
  const code = typeof error === 'string' ? error : (error as Partial<NodeJS.ErrnoException> | null)?.code
  return Object.hasOwn(refusals, code ?? '') ? refusals[code ?? ''] : undefined
}

/** V8 has no code for it: a RangeError of an allocation. */
export const saysOutOfMemory = (message: string): boolean =>
  /(?:could not|cannot) allocate|allocation failed|out of memory/i.test(message)

/** Whether there is nothing at that path. */
export const isMissing = (error: unknown): boolean => refusalOf(error) === 'missing'
