/**
 * A login for one run: the person's own key where it opens without a question,
 * else one that is made for the run and put, on the throw-away card alone, in
 * the place of those that may log in.
 */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newestTime, openBootVolume } from '../../disk/boot-volume.ts'
import type { Changes } from '../../disk/changes.ts'
import { runProgram } from '../../io/run-program.ts'
import { withoutComment } from '../../secrets/authorized-keys.ts'
import { makeEd25519Key } from '../../secrets/ed25519-key.ts'
import { type Expected, textsOf } from './subject.ts'

export interface Login {
  user: string
  /** Private key. */
  identity: string
  throwAway: boolean
}

/** @returns undefined: nobody can log in by key */
export async function prepareLogin(
  { login }: Expected,
  image: Changes,
  folder: string,
  signal: AbortSignal,
): Promise<Login | undefined> {
  if (login === undefined) return undefined
  const { user, keys, identity } = login
  if (identity !== undefined && (await opensUnasked(identity, signal)))
    return { user, identity, throwAway: false }
  const pair = makeEd25519Key(randomBytes(32), 'piimage-boot')
  if (!(await putInPlace(image, keys, withoutComment(pair.publicLine)))) return undefined
  const own = join(folder, 'id_ed25519')
  await writeFile(own, pair.privateKey.reveal(), { mode: 0o600 })
  return { user, identity: own, throwAway: true }
}

const opensUnasked = async (identity: string, signal: AbortSignal): Promise<boolean> =>
  (await runProgram('ssh-keygen', ['-y', '-P', '', '-f', identity], { signal })).status === 0

/** @returns whether any of them stood anywhere */
async function putInPlace(image: Changes, keys: readonly string[], own: string): Promise<boolean> {
  const { volume } = await openBootVolume(image)
  const modified = await newestTime(volume)
  const changed: [string, string][] = []
  for await (const { path, text } of textsOf(volume)) {
    const after = keys.reduce((all, key) => all.replaceAll(key, own), text)
    if (after !== text) changed.push([path, after])
  }
  for (const [path, text] of changed)
    await volume.writeFile(path, Buffer.from(text, 'latin1'), { modified, wipe: true })
  return changed.length > 0
}
