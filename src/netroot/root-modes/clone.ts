/** The node's own copy of the generation's image: with every block again, or sharing those that nobody has written. */
import { constants, copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { applyRootEdits } from '../apply-root-edits.ts'
import { changeImage, copyImage } from '../fs-image.ts'
import { imageIn, type RootWay } from './way.ts'

const cloneWay = (reflink: 'always' | 'never'): RootWay => ({
  place(_base, inner) {
    const mine = imageIn(inner, 'root', true)
    return { rootFolder: mine.folder, images: [mine] }
  },
  async make({ image, edits, modified, signal }, folder, uuid) {
    const [copy, root] = [join(folder, 'root.ext4'), join(folder, 'root')]
    await copyImage(image, copy, reflink, uuid, signal)
    await changeImage(copy, root, async () => applyRootEdits(root, edits, modified))
  },
})

export const copyWay = cloneWay('never')

export const reflinkWay: RootWay = {
  ...cloneWay('always'),
  async probe(folder) {
    writeFileSync(join(folder, 'a'), 'x'.repeat(4096))
    copyFileSync(join(folder, 'a'), join(folder, 'b'), constants.COPYFILE_FICLONE_FORCE)
  },
}
