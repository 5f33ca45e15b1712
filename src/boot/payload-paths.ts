/** Names on the boot partition that several files of this room agree on. */

/** The folder of everything first boot runs; see ./payload.ts. */
export const PAYLOAD = 'piimage'
/** What each kind of image starts, from the partition's root. */
export const INSTALL = `${PAYLOAD}/install.sh`
/** Who this node is, for a later plan over the same partition. */
export const NODE_RECORD = `${PAYLOAD}/node.json`
