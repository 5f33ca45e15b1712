/** What judges a cluster file: where mistakes and warnings are collected, and what may be asked. */
import type { Mistake } from '../errors.ts'
import type { ClusterKey } from '../secrets/cluster-key.ts'
import type { Feature } from './feature.ts'
import type { Arch, Place } from './node.ts'
import type { Path } from './yaml-source.ts'

/** A file that the cluster file names, as it lies on this machine. */
export interface LocalFile {
  text: string
  /** Permission bits; undefined where the system has none. */
  mode?: number
}

/** What an image is: what its entry in the lock says, never how its key is spelled. */
export interface ImageFacts {
  /** undefined: of an image that stands in no lock nobody has said. */
  os?: string
  release?: string | null
  /** YYYY-MM-DD at the front, where its publisher dates images. */
  version: string
  arch: Arch
}

/** What stands for the key of an image. */
export interface ImageNames {
  /** The newest of a name without a version; undefined: there is none, or several kinds of image have it. */
  newestNamed(name: string): string | undefined
  /** The kinds of image that have a name. */
  kindsNamed(name: string): string[]
  /** The newest that every board of an architecture runs, for a node that names none. */
  newestFor(arch: Arch): string | undefined
}

export interface ParseOptions {
  /** What a cluster can have, in the order of their overlays. */
  features: readonly Feature[]
  /** The cluster file's folder, absolute; paths in the file are relative to it. */
  folder: string
  /** What `~/` stands for. */
  home: string
  /** Read a file named in the cluster file. @throws with `code` as node:fs does */
  readLocal: (path: string) => LocalFile
  /** The cluster key, or why there is none (one sentence); only needed to hash a passwordFile. */
  key?: ClusterKey | { problem: string; hint: string }
  /** Keys of the lock; undefined: any key may be one. */
  imageKeys?: readonly string[]
  /** Images by less than a key; without it every image needs its key. */
  images?: ImageNames
  /** What the lock says an image is; undefined: nothing is known of it. */
  imageOf?: (imageKey: string) => ImageFacts | undefined
  /** Names of the overlays that can be found; undefined: any name may be one. */
  overlayNames?: readonly string[]
}

export interface Judge {
  /** Accounts at GitHub whose keys were wanted and are not there yet. */
  unpinned: Set<string>
  /** What the files hold that are named as secret. */
  secrets: Set<string>
  options: ParseOptions
  placeOf: (path: Path, part?: 'key' | 'value') => Place
  mistake: (path: Path, message: string, hint: string, part?: 'key' | 'value') => void
  warn: (path: Path, message: string, hint: string, part?: 'key' | 'value') => void
}

/** A judge over places; the same sentence at the same place is kept once. */
export function openJudge(
  options: ParseOptions,
  placeOf: Judge['placeOf'],
): Judge & { mistakes: Mistake[]; warnings: Mistake[] } {
  const mistakes: Mistake[] = []
  const warnings: Mistake[] = []
  const seen = new Set<string>()
  const into =
    (list: Mistake[]): Judge['mistake'] =>
    (path, message, hint, part = 'value') => {
      const mistake: Mistake = { ...placeOf(path, part), message, hint }
      const text = `${mistake.line}:${mistake.column}:${message}`
      if (seen.has(text)) return
      seen.add(text)
      list.push(mistake)
    }
  return {
    options,
    placeOf,
    unpinned: new Set(),
    mistakes,
    warnings,
    secrets: new Set(),
    mistake: into(mistakes),
    warn: into(warnings),
  }
}
