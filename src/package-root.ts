/** Where the files that ship beside the code are: overlays/, firstboot/, schema/, images.lock.json. */
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { InstallError } from './errors.ts'

let root: string | undefined

/** The package's own folder: the nearest one above this file that holds `overlays` and `firstboot`. */
export function packageRoot(): string {
  if (root !== undefined) return root
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'overlays')) || !existsSync(join(folder, 'firstboot'))) {
    const parent = dirname(folder)
    if (parent === folder) throw new InstallError('the folders overlays and firstboot')
    folder = parent
  }
  root = folder
  return root
}
