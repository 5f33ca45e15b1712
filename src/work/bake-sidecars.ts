/** What lies beside a baked image: its SBOM, and its entry in Raspberry Pi Imager's list. */

import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type Baked, bakedFileName } from '../bake/bake.ts'
import type { OsListImage } from '../bake/os-list.ts'
import { formatSbom, packagesOf } from '../bake/sbom.ts'
import type { LockedImage } from '../catalog/locked-image.ts'
import type { ImagerFormat } from '../cluster/boards.ts'
import type { Cluster, Node } from '../cluster/node.ts'
import { shownUrl } from '../fetch/http.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { packageRoot } from '../package-root.ts'
import { trimEnd } from '../trim-end.ts'
import { version } from '../version.ts'

/** @returns its path */
export async function writeSbom({
  folder,
  name,
  node,
  image,
  baseSha256,
  baked,
}: {
  folder: string
  name: string
  /** Of the unpacked base image. */
  baseSha256: string
  node: Node
  image: LockedImage
  baked: Baked
}): Promise<string> {
  const path = join(folder, `${name}.cdx.json`)
  // Not in an installed package: npm leaves it out.
  const lock = join(packageRoot(), 'package-lock.json')
  await writeFileAtomically(
    path,
    formatSbom({
      name: basename(baked.path),
      sha256: baked.sha256,
      extractedSha256: baked.extractedSha256,
      node: node.name,
      base: {
        key: image.key,
        version: image.version,
        url: shownUrl(image.written?.url ?? image.url),
        downloadSha256: image.download.sha256,
        extractedSha256: baseSha256,
        source: image.download.source.kind,
      },
      overlays: node.overlays.map((overlay) => overlay.name),
      piimage: version(),
      packages: existsSync(lock) ? packagesOf(await readFile(lock, 'utf8')) : [],
    }),
  )
  return path
}

export function osListEntry({
  cluster,
  node,
  image,
  baked,
  imager,
  name,
  url,
}: {
  cluster: Cluster
  node: Node
  imager: ImagerFormat
  image: LockedImage
  baked: Baked
  name: string
  /** Where the files will be served; '' for a name beside the list. */
  url: string
}): OsListImage {
  const at = (file: string) => `${trimEnd(url, '/')}${url === '' ? '' : '/'}${file}`
  return {
    name: `${cluster.name} ${node.name}`,
    description: `Node ${node.name} of cluster ${cluster.name}, from ${image.key}`,
    url: at(bakedFileName(name, baked.format)),
    bmapUrl: at(`${name}.bmap`),
    extractedSize: baked.extractedSize,
    extractedSha256: baked.extractedSha256,
    size: baked.size,
    sha256: baked.sha256,
    releaseDate: /^\d{4}-\d{2}-\d{2}/.exec(image.version)?.[0] ?? '1980-01-01',
    model: node.model,
    arch: image.arch,
    imager,
  }
}
