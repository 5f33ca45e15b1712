/**
 * Where the server's own paths lie on this machine: the same, or below
 * `--prefix`. And who may see them: the folders above the nodes' trees can be
 * passed through and not listed, for a TFTP server runs as nobody.
 */
import { chmodSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { listMountsUnder } from '../io/mountinfo.ts'
import { runMountTool } from './system-tool.ts'

export interface ServerRoot {
  /** '' or an absolute path without a slash at its end. */
  prefix: string
}

export const at = ({ prefix }: ServerRoot, path: string): string => `${prefix}${path}`

/** May be passed through, not listed. */
export const CLOSED = 0o711
/** For root alone. */
export const PRIVATE = 0o700
/** For what the TFTP server reads. */
export const OPEN = 0o755

/** Make a folder and those above it; whatever the umask is, nobody else may write into it. */
export function makeFolder(path: string, mode: number): void {
  const first = mkdirSync(path, { recursive: true, mode })
  if (first === undefined) return
  for (let folder = path; folder.length >= first.length; folder = dirname(folder)) chmodSync(folder, mode)
}

/** Point a link somewhere else, in one step. */
export function putLink(target: string, path: string): void {
  const part = `${path}.part`
  rmSync(part, { force: true })
  symlinkSync(target, part)
  renameSync(part, path)
}

/** Remove a folder of ours that is not finished, or not wanted any more; unmounts what an earlier run left. */
export async function removeTree(folder: string): Promise<void> {
  for (const point of await listMountsUnder(folder)) await runMountTool('umount', [point])
  rmSync(folder, { recursive: true, force: true })
}
