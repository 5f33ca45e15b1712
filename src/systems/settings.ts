/**
 * A node's state in the words of its system: what a family adds to what the
 * overlays say themselves. Made in parts, by what they are about, and joined.
 */
import type { CmdlineEdit } from '../boot/cmdline-txt.ts'
import type { ConfigTxtLine } from '../boot/config-txt.ts'
import type { RootFile } from '../node/state.ts'
import type { EarlyStep } from '../node/step-order.ts'
import type { Secret } from '../secret.ts'

export interface Settings {
  /** Files that the system reads where its boot partition is mounted, by path. */
  seed: ReadonlyMap<string, Uint8Array>
  /** Shipped steps that run before there is a network. */
  early: readonly EarlyStep[]
  /** Files below piimage/. */
  payload: ReadonlyMap<string, Uint8Array>
  /** Files below piimage/secrets/. Plain text: not secret itself. */
  secretFiles: ReadonlyMap<string, Secret | string>
  rootFiles: readonly RootFile[]
  kernel: readonly CmdlineEdit[]
  config: readonly ConfigTxtLine[]
  /** One sentence each, for people. */
  warnings: readonly string[]
}

export function joinSettings(...parts: readonly Partial<Settings>[]): Settings {
  return {
    seed: new Map(parts.flatMap(({ seed = [] }) => [...seed])),
    early: parts.flatMap(({ early = [] }) => early),
    payload: new Map(parts.flatMap(({ payload = [] }) => [...payload])),
    secretFiles: new Map(parts.flatMap(({ secretFiles = [] }) => [...secretFiles])),
    rootFiles: parts.flatMap(({ rootFiles = [] }) => rootFiles),
    kernel: parts.flatMap(({ kernel = [] }) => kernel),
    config: parts.flatMap(({ config = [] }) => config),
    warnings: parts.flatMap(({ warnings = [] }) => warnings),
  }
}
