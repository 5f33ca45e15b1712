/**
 * Where everything lies in a state folder.
 *
 * ```
 * <state>/                            /srv/piimage/<cluster>, 0711
 *   lock                              who is changing it
 *   served.json                       what was laid out: what verify and status read
 *   generations/<generation>/         an image's two file systems; never changed once there
 *     boot/ root/ boot.manifest root.manifest generation.json
 *   nodes/<name>/
 *     <edition>/                      a node's own trees over one generation
 *       boot/                         what TFTP gives it
 *       private/root/                 its root; in overlay mode upper/ work/ merged/
 *       edition.json
 *     current                         link → the edition of the next boot: all that a switch changes
 *     history                         editions, oldest first
 *   tftp/                             what the TFTP server sees
 *     <serial>, <mac-with-dashes>     link → ../nodes/<name>/current/boot
 *     bootcode.bin
 *   volumes/<name>/storage.ext4       a node's containers; survives every switch
 * ```
 *
 * The folders above what TFTP reads can be passed through and not listed (0711);
 * those with roots in them are closed to everybody but root (0700), for a root
 * holds programs with set-id bits, and what a node wrote.
 *
 * Names that start with a dot, or end with `.part`, are unfinished. Paths here are the server's own;
 * `--prefix` goes before them (./place.ts).
 */

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

/** Name of a node's volume file in its folder. */
export const VOLUME_FILE = 'storage.ext4'

export const servedFile = (state: string): string => `${state}/served.json`

export const lockFile = (state: string): string => `${state}/lock`
