/** The JSON files of a state folder: what each must hold to be believed. */

import { rootModeWords } from '../cluster/root-modes.ts'
import {
  type Check,
  hasFields,
  isFlag,
  isListOf,
  isMapOf,
  isNumber,
  isOneOf,
  isText,
  optional,
} from '../io/shape.ts'
import type { StateFormat } from '../io/state-file.ts'

/** What is inside did not change when versions came. */
const asItIs = (older: unknown): unknown => older

const overlay = hasFields({ lower: isText, upper: isText, work: isText, merged: isText })
const rootMode: Check = isOneOf(rootModeWords)

const images = optional(isListOf(hasFields({ image: isText, folder: isText, writable: isFlag })))

const served: Check = hasFields({
  name: isText,
  model: isText,
  ip: isText,
  mac: optional(isText),
  serial: optional(isText),
  generation: isText,
  edition: isText,
  bootFolder: isText,
  rootFolder: isText,
  rootMode,
  overlay: optional(overlay),
  earlierOverlays: optional(isListOf(overlay)),
  stateFolder: optional(isText),
  volumeFolder: optional(isText),
  images,
  exports: isListOf(hasFields({ folder: isText, client: isText, writable: isFlag, fsid: isText })),
  usbSlot: optional(isNumber),
  tftpNames: isListOf(isText),
})

/** `served.json` */
export const servedFormat: StateFormat = {
  what: 'the record of what is laid out',
  version: 1,
  check: hasFields({
    cluster: isText,
    stateFolder: isText,
    tftpRoot: isText,
    server: hasFields({ ip: isText, prefix: isNumber, interface: isText }),
    network: hasFields({ cidr: isText, dns: isListOf(isText) }),
    nodes: isListOf(served),
  }),
  migrations: [asItIs],
  hint: 'Run piimage netroot for the whole cluster: it writes the file anew, and nodes that are up stay up.',
}

/** `edition.json` */
export const editionFormat: StateFormat = {
  what: 'the record of an edition',
  version: 1,
  check: hasFields({
    node: isText,
    edition: isText,
    generation: isText,
    image: isText,
    rootMode,
    ip: optional(isText),
    bootFolder: isText,
    rootFolder: isText,
    overlay: optional(overlay),
    stateFolder: optional(isText),
    images,
  }),
  migrations: [asItIs],
  hint: 'Restore it; or shut the node down, move the folder it lies in away and run piimage netroot.',
}

/** `generation.json` */
export const generationFormat: StateFormat = {
  what: 'the record of an unpacked image',
  version: 1,
  check: hasFields({
    id: isText,
    image: isText,
    sha256: isText,
    modified: (value, at) =>
      isText(value, at) ?? (Number.isNaN(Date.parse(value as string)) ? `${at} is not a date` : undefined),
    capabilities: isListOf(hasFields({ path: isText, capabilities: isText })),
  }),
  migrations: [asItIs],
  hint: 'Restore it; or shut its nodes down, move the folder it lies in away and run piimage netroot.',
}

/** `own.json` */
export const ownFilesFormat: StateFormat = {
  what: "the list of piimage's own files in a root",
  version: 1,
  check: hasFields({ files: isMapOf(isText) }),
  migrations: [(files) => ({ files })],
  hint: "Delete it: diff then also shows what piimage itself wrote into the node's root.",
}

/** `usb-folders.json` */
export const usbFoldersFormat: StateFormat = {
  what: 'the list of folders that were made for Zeros',
  version: 1,
  check: hasFields({ folders: isListOf(isText) }),
  migrations: [(folders) => ({ folders })],
  hint: 'Delete it: piimage netroot remove then leaves empty folders in /var/lib/clusterctrl/nfs.',
}
