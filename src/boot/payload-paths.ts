/** Names on the boot partition that several rooms agree on. */

/** The folder of everything first boot runs; see ../systems/first-boot.ts. */
export const PAYLOAD = 'piimage'
/** Folder in it with the artifacts that are not secret. */
export const ARTIFACTS = 'material'
/** What each kind of image starts, from the partition's root. */
export const INSTALL = `${PAYLOAD}/install.sh`
/** Where DietPi's own first boot looks for a script, which runs before there is a network. */
export const PRESCRIPT = 'Automation_Custom_PreScript.sh'
/** Who this node is, for a later plan over the same partition. */
export const NODE_RECORD = `${PAYLOAD}/node.json`
/** The command line of the boots after the first, where a shell is the first process of that one. */
export const SAVED_CMDLINE = 'cmdline.txt.piimage-orig'

/** What the payload is made of itself, by first name: an overlay's own files lie beside it. */
export const PAYLOAD_NAMES: ReadonlySet<string> = new Set([
  ARTIFACTS,
  ...[
    'install.sh',
    'run.sh',
    'lib.sh',
    'init',
    'units',
    'early.d',
    'firstboot.d',
    'secrets',
    'files',
    'files.list',
  ],
  ...['node.json', 'node.env', 'network', 'users', 'keys', 'log', '.id'],
])
