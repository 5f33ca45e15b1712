/**
 * What a netboot server serves, as plain values: the meeting point between
 * laying trees out, writing the servers' files and rehearsing a boot. Paths are
 * the server's own, absolute, without `--prefix`.
 */
import type { Model, Network } from '../cluster/node.ts'
import type { RootMode } from '../cluster/root-modes.ts'

/** A file system image that the server must have mounted before anything in it is exported. */
export interface ImageMount {
  image: string
  /** The mount point. */
  folder: string
  writable: boolean
}

/** An overlay that the server must have mounted before it exports it. */
export interface OverlayMount {
  lower: string
  upper: string
  work: string
  /** The mount point; it is what is exported. */
  merged: string
}

/** A folder that one node, or all of them, may mount. */
export interface Export {
  folder: string
  /** An address, or the cluster's network for what is shared read-only; never `*`. */
  client: string
  writable: boolean
  /** Unique on the server and the same on every run: a changed one cuts off nodes that are up. */
  fsid: string
}

export interface ServedNode {
  name: string
  model: Model
  /** Dotted quad. */
  ip: string
  /** Lower case, with colons; undefined while the board isn't known. */
  mac?: string
  /** The low 32 bits, 8 lower-case hex digits; undefined while the board isn't known. */
  serial?: string
  /** The generation it gets at its next boot. */
  generation: string
  /** Its own trees over that generation. */
  edition: string
  /** Everything that TFTP gives this node. */
  bootFolder: string
  /** What `nfsroot=` names. */
  rootFolder: string
  rootMode: RootMode
  overlay?: OverlayMount
  /** Of editions that it had before, and may still be running on. */
  earlierOverlays?: OverlayMount[]
  /** With a shared root: the folder with the node's own files, read by its initramfs. */
  stateFolder?: string
  /** Folder with the node's volume file for containers, an export of its own. */
  volumeFolder?: string
  /**
   * Every image that holds something of `exports`. Missing: laid out by an
   * earlier piimage, as folders of the server's own file system.
   */
  images?: ImageMount[]
  /** All that it may mount: its root, its volume, the root it may still be running on. */
  exports: Export[]
  /** Of a Zero that boots over USB: its slot on the ClusterHAT. Then no TFTP is involved. */
  usbSlot?: number
  /** Links in the TFTP root that lead to bootFolder: a serial number, or a MAC address with dashes. */
  tftpNames: string[]
}

export interface ServedCluster {
  cluster: string
  /** Holds everything piimage may remove: generations, nodes, TFTP root. */
  stateFolder: string
  tftpRoot: string
  server: {
    ip: string
    prefix: number
    /** The interface that faces the cluster; the servers listen on no other. */
    interface: string
  }
  network: Network
  nodes: ServedNode[]
}
