/** The folder of a run: throw-away cards, the switch's socket, a key. Nobody else may enter it. */
import { lstat, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listDead, ownName } from '../../io/parts.ts'
import type { Caller } from '../caller.ts'

const START = 'piimage-boot-'

/** Cards have gigabytes, and /tmp is memory on many systems. */
export async function makeRunFolder({ TMPDIR }: Caller['env']): Promise<string> {
  const isThere = (await lstat('/var/tmp').catch(() => undefined))?.isDirectory() === true
  const parent = TMPDIR ?? (isThere ? '/var/tmp' : tmpdir())
  await clearDead(parent)
  return mkdtemp(join(parent, `${ownName(START)}-`))
}

/** What killed processes left. Anybody can give a folder such a name: what is not one's own alone is left. */
async function clearDead(parent: string): Promise<void> {
  for (const name of await listDead(parent, START)) {
    const folder = join(parent, name)
    const found = await lstat(folder).catch(() => undefined)
    if (found?.isDirectory() !== true || found.uid !== process.geteuid?.() || (found.mode & 0o077) !== 0)
      continue
    await rm(folder, { recursive: true, force: true }).catch(() => {})
  }
}
