/** The generation's root for all; the node's own files in an image that its initramfs reads. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MiB } from '../../units.ts'
import { makeImage } from '../fs-image.ts'
import { makeFolder, PRIVATE } from '../server-root.ts'
import { STATE_FILE } from '../shared/segment.ts'
import { stateArchive } from '../shared/state.ts'
import { imageIn, type RootWay } from './way.ts'

export const sharedWay: RootWay = {
  place(base, inner) {
    const mine = imageIn(inner, 'state', false)
    return { rootFolder: base.folder, stateFolder: mine.folder, images: [base, mine] }
  },
  async make({ lower, edits, modified }, folder, uuid) {
    const archive = stateArchive(lower, edits, modified)
    const from = join(folder, '.state')
    makeFolder(from, PRIVATE)
    writeFileSync(join(from, STATE_FILE), archive, { mode: 0o600 })
    const bytes = LEAST_STATE_BYTES + 2 * archive.length
    await makeImage(join(folder, 'state.ext4'), bytes - (bytes % MiB), { uuid, from })
    rmSync(from, { recursive: true })
    mkdirSync(join(folder, 'state'), { mode: PRIVATE })
  },
}

/** A file system with a journal needs that much to itself; nearly all of it is a hole. */
const LEAST_STATE_BYTES = 16 * MiB
