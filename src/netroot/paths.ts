/**
 * Where everything lies in a state folder.
 *
 * ```
 * <state>/                            /srv/piimage/<cluster>, 0711
 *   lock                              who is changing it
 *   served.json                       what was laid out: what verify and status read
 *   generations/<generation>/         an image's two file systems; never changed once there
 *     boot/ boot.manifest root.manifest generation.json
 *     root.ext4                       its root, an image
 *     root/                           where that is mounted, read-only
 *   nodes/<name>/
 *     <edition>/                      a node's own trees over one generation
 *       boot/                         what TFTP gives it
 *       private/                      images, and where they are mounted:
 *         root.ext4 root/             its root
 *         own.ext4 own/ merged/       in overlay mode: what it writes, and the overlay
 *         state.ext4 state/           in shared mode: its own files
 *       edition.json
 *     current                         link → the edition of the next boot: all that a switch changes
 *     history                         editions, oldest first
 *   tftp/                             what the TFTP server sees
 *     <serial>, <mac-with-dashes>     link → ../nodes/<name>/current/boot
 *     bootcode.bin
 *   volumes/<name>/                   a node's containers; survives every switch
 *     storage.img export/             an image, and where it is mounted; in it the volume file storage.ext4
 * ```
 *
 * The folders above what TFTP reads can be passed through and not listed (0711);
 * those with roots in them are closed to everybody but root (0700), for a root
 * holds programs with set-id bits, and what a node wrote.
 *
 * Names that start with a dot, or end with `.part`, are unfinished. Paths here are the server's own;
 * `--prefix` goes before them (./place.ts).
 */

import { dirname } from 'node:path'
import type { ImageMount } from './served.ts'

export const generationFolder = (state: string, generation: string): string =>
  `${state}/generations/${generation}`

export const nodeFolder = (state: string, node: string): string => `${state}/nodes/${node}`

export const editionFolder = (state: string, node: string, edition: string): string =>
  `${nodeFolder(state, node)}/${edition}`

/** The link that a switch changes. */
export const currentLink = (state: string, node: string): string => `${nodeFolder(state, node)}/current`

export const historyFile = (state: string, node: string): string => `${nodeFolder(state, node)}/history`

export const tftpFolder = (state: string): string => `${state}/tftp`

export const volumeFolder = (state: string, node: string): string => `${state}/volumes/${node}`

/** Name of a node's volume file in what is exported to it. */
export const VOLUME_FILE = 'storage.ext4'

/** The image that holds it, and where that is mounted: what is exported. */
export const volumeImage = (state: string, node: string): ImageMount =>
  volumeImageAt(`${volumeFolder(state, node)}/export`)

/** @param exported its mount point */
export const volumeImageAt = (exported: string): ImageMount => ({
  image: `${dirname(exported)}/storage.img`,
  folder: exported,
  writable: true,
})

/** A generation's root. */
export const baseImage = (state: string, generation: string): ImageMount => ({
  image: `${generationFolder(state, generation)}/root.ext4`,
  folder: `${generationFolder(state, generation)}/root`,
  writable: false,
})

export const servedFile = (state: string): string => `${state}/served.json`

export const lockFile = (state: string): string => `${state}/lock`
