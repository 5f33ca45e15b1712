/**
 * A boot partition in the making: everything that overlays and the OS family
 * have asked for, before it becomes files (./plan-boot.ts).
 */

import type { BootFiles } from '../boot/boot-files.ts'
import type { TreeMap } from '../boot/cloud-init.ts'
import type { CmdlineEdit } from '../boot/cmdline-txt.ts'
import type { ConfigTxtLine } from '../boot/config-txt.ts'
import type { RootFile, Step } from '../node/edits.ts'
import type { Secret } from '../secret.ts'
import { type EarlyStep, earlyOrder } from './step-order.ts'

export interface BootDraft {
  /** The partition as it is. */
  boot: BootFiles
  /** YYYY-MM-DD: a day that has passed for sure, whatever the node's clock says; '' when none is known. */
  pastDay: string
  /** Tokens of cmdline.txt as the image has them, without those of an earlier plan. */
  cmdline: string[]
  cmdlineEdits: CmdlineEdit[]
  config: ConfigTxtLine[]
  /** Merged cloud-config. */
  userData: TreeMap
  /** Whole files of the boot partition, by path. */
  files: Map<string, Uint8Array>
  /** Files below piimage/. */
  payload: Map<string, Uint8Array>
  /** Files below piimage/secrets/: moved to the root file system and wiped at first boot. Plain text: not secret itself. */
  secretFiles: Map<string, Secret | string>
  rootFiles: RootFile[]
  steps: Step[]
  /** Shipped early steps the family needs. */
  early: Set<EarlyStep>
  /** Variables of node.env. */
  environment: Record<string, string>
  /** Everything that must not be shown, wherever it was put. */
  secrets: Set<string>
  warnings: string[]
}

export function emptyDraft(boot: BootFiles, cmdline: string[]): BootDraft {
  return {
    boot,
    pastDay: '',
    cmdline,
    cmdlineEdits: [],
    config: [],
    userData: {},
    files: new Map(),
    payload: new Map(),
    secretFiles: new Map(),
    rootFiles: [],
    steps: [],
    early: new Set(),
    environment: {},
    secrets: new Set(),
    warnings: [],
  }
}

/** Take out a secret to write it, and remember that it must not be shown. */
export function reveal(draft: BootDraft, secret: Secret): string {
  const value = secret.reveal()
  draft.secrets.add(value)
  return value
}

/** `20-user.sh` */
export const stepFile = (order: number, name: string): string =>
  `${String(order).padStart(2, '0')}-${name}.sh`

export const earlySteps = (draft: BootDraft): EarlyStep[] =>
  [...draft.early].sort((a, b) => earlyOrder[a] - earlyOrder[b])
