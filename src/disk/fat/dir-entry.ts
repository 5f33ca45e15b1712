/**
 * Directory entries: slots of 32 bytes.
 *
 * A file has one short entry (alias, attributes, time, first cluster, size) and,
 * before it, up to 20 long-name slots of 13 UTF-16 units each, last part first.
 * Their checksum of the alias ties them together; long slots that don't match
 * are leavings of systems that know no long names, and are passed over.
 *
 * Times are the local time of nobody: the UTC fields are stored as they are, so
 * bytes don't depend on the time zone. Unit: two seconds, from 1980 to 2107.
 */
import { aliasChecksum, isUsableName, readAlias, readLabel } from './names.ts'

export const SLOT_BYTES = 32
const UNITS_PER_SLOT = 13
/** Where those 13 units stand in a long-name slot. */
const UNIT_OFFSETS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]

export const ATTRIBUTE = { volumeLabel: 0x08, directory: 0x10, archive: 0x20, longName: 0x0f } as const

/** One file or folder as its directory describes it. */
export interface DirEntry {
  name: string
  /** The 11 bytes of the short entry, as Latin-1. */
  alias: string
  attributes: number
  /** 0 where there is none: an empty file, or the root as seen from `..`. */
  firstCluster: number
  size: number
  modified: Date
  /** First slot (the long name's, where there is one), counted from the directory's start. */
  slot: number
  slotCount: number
}

export interface DirContents {
  entries: DirEntry[]
  /** The volume label entry (only the root has one). */
  label: string | undefined
  /** Slots before the end mark: later ones were never used. */
  usedSlots: number
  /** Slots of entries whose names no file can have: they are there and can't be asked for. */
  unusable: number[]
}

/**
 * @param bytes a whole directory
 */
export function readDirContents(bytes: Uint8Array): DirContents {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const slots = Math.floor(bytes.length / SLOT_BYTES)
  const entries: DirEntry[] = []
  const unusable: number[] = []
  let label: string | undefined
  let longName = new LongName()
  let slot = 0
  for (; slot < slots; slot += 1) {
    const at = slot * SLOT_BYTES
    const first = view.getUint8(at)
    if (first === 0) break
    const attributes = view.getUint8(at + 11) & 0x3f
    if (first !== 0xe5 && attributes === ATTRIBUTE.longName) {
      longName.add(view, slot)
      continue
    }
    const pending = longName
    longName = new LongName()
    if (first === 0xe5) continue
    const alias = String.fromCharCode(...bytes.subarray(at, at + 11))
    if ((attributes & ATTRIBUTE.volumeLabel) !== 0) {
      label ??= readLabel(alias)
      continue
    }
    if (alias === '.          ' || alias === '..         ') continue
    const long = pending.match(alias, slot)
    const name = long ?? readAlias(alias, view.getUint8(at + 12))
    if (!isUsableName(name)) {
      unusable.push(slot)
      continue
    }
    entries.push({
      name,
      alias,
      attributes,
      firstCluster: view.getUint16(at + 26, true) + view.getUint16(at + 20, true) * 0x10000,
      size: view.getUint32(at + 28, true),
      modified: readTime(view.getUint16(at + 24, true), view.getUint16(at + 22, true)),
      slot: long === undefined ? slot : pending.slot,
      slotCount: long === undefined ? 1 : slot - pending.slot + 1,
    })
  }
  return { entries, label, usedSlots: slot, unusable }
}

/** Collects the slots of one long name, in the order they stand: last part first. */
class LongName {
  slot = -1
  #parts: string[] = []
  #checksum = -1
  /** Number the next slot must bear; 0 when the name is whole. */
  #next = -1

  add(view: DataView, slot: number): void {
    const at = slot * SLOT_BYTES
    const order = view.getUint8(at)
    const number = order & 0x3f
    const checksum = view.getUint8(at + 13)
    if ((order & 0x40) !== 0) {
      this.slot = slot
      this.#parts = []
      this.#checksum = checksum
    } else if (number !== this.#next || checksum !== this.#checksum) {
      this.#next = -1
      return
    }
    this.#next = number - 1
    const units = UNIT_OFFSETS.map((offset) => view.getUint16(at + offset, true))
    this.#parts.unshift(String.fromCharCode(...units))
  }

  /** The name, when it is whole and belongs to the short entry at `slot`. */
  match(alias: string, slot: number): string | undefined {
    if (this.#next !== 0 || this.#checksum !== aliasChecksum(alias)) return undefined
    if (slot - this.slot !== this.#parts.length) return undefined
    const name = this.#parts.join('').replace(/\0[\s\S]*$/, '')
    return isUsableName(name) ? name : undefined
  }
}

/** What a new entry says. */
export interface NewEntry {
  name: string
  alias: string
  /** Whether a long name is written besides the alias. */
  long: boolean
  attributes: number
  firstCluster: number
  size: number
  modified: Date
}

/** How many slots an entry takes. */
export function slotsNeeded(name: string, long: boolean): number {
  return long ? Math.ceil(name.length / UNITS_PER_SLOT) + 1 : 1
}

/** The slots of a new entry, long name first. Created, accessed and modified are the same time. */
export function formatEntry(entry: NewEntry): Uint8Array {
  const count = slotsNeeded(entry.name, entry.long)
  const bytes = new Uint8Array(count * SLOT_BYTES)
  const view = new DataView(bytes.buffer)
  const checksum = aliasChecksum(entry.alias)
  for (let number = 1; number < count; number += 1) {
    const at = (count - 1 - number) * SLOT_BYTES
    view.setUint8(at, number === count - 1 ? number | 0x40 : number)
    view.setUint8(at + 11, ATTRIBUTE.longName)
    view.setUint8(at + 13, checksum)
    UNIT_OFFSETS.forEach((offset, i) => {
      const unit = (number - 1) * UNITS_PER_SLOT + i
      const isEnd = unit === entry.name.length
      view.setUint16(
        at + offset,
        isEnd ? 0 : unit < entry.name.length ? entry.name.charCodeAt(unit) : 0xffff,
        true,
      )
    })
  }
  const at = (count - 1) * SLOT_BYTES
  for (let i = 0; i < 11; i += 1) view.setUint8(at + i, entry.alias.charCodeAt(i))
  view.setUint8(at + 11, entry.attributes)
  const { date, time } = formatTime(entry.modified)
  view.setUint16(at + 14, time, true)
  view.setUint16(at + 16, date, true)
  writeFileFields(bytes.subarray(at), entry)
  return bytes
}

/** Put place, size and modification time into a short entry; the rest of it stays. */
export function writeFileFields(
  slot: Uint8Array,
  fields: { firstCluster: number; size: number; modified: Date },
): void {
  const view = new DataView(slot.buffer, slot.byteOffset, SLOT_BYTES)
  const { date, time } = formatTime(fields.modified)
  view.setUint16(18, date, true)
  view.setUint16(20, Math.floor(fields.firstCluster / 0x10000), true)
  view.setUint16(22, time, true)
  view.setUint16(24, date, true)
  view.setUint16(26, fields.firstCluster % 0x10000, true)
  view.setUint32(28, fields.size, true)
}

/** `date` as FAT can hold it: even seconds, no earlier than 1980, no later than 2107. */
export function roundTime(date: Date): Date {
  const { date: day, time } = formatTime(date)
  return readTime(day, time)
}

function formatTime(moment: Date): { date: number; time: number } {
  if (Number.isNaN(moment.getTime())) throw new Error('an invalid Date for a FAT entry')
  const year = moment.getUTCFullYear()
  if (year < 1980) return { date: 0x21, time: 0 }
  if (year > 2107) return { date: 0xff9f, time: 0xbf7d }
  return {
    date: ((year - 1980) << 9) | ((moment.getUTCMonth() + 1) << 5) | moment.getUTCDate(),
    time: (moment.getUTCHours() << 11) | (moment.getUTCMinutes() << 5) | (moment.getUTCSeconds() >> 1),
  }
}

/** Month or day 0 (written by some firmware for "never") reads as the first. */
function readTime(date: number, time: number): Date {
  const month = Math.max((date >> 5) & 0x0f, 1)
  const day = Math.max(date & 0x1f, 1)
  const seconds = (time & 0x1f) * 2
  return new Date(Date.UTC(1980 + (date >> 9), month - 1, day, time >> 11, (time >> 5) & 0x3f, seconds))
}
