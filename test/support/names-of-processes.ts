import { ownName } from '../../src/io/parts.ts'

/** What `ownName(start)` is in another process of this place, or of another place (eight hex digits). */
export const nameOf = (start: string, pid: number, place = '$2'): string =>
  ownName(start).replace(/(\d+)-([0-9a-f]{8})$/, `${pid}-${place}`)
