/** What a root mode says of itself: the interface of the files in this folder. */
import type { RootEdit } from '../../systems/root/root-edit.ts'
import type { ImageMount, OverlayMount } from '../served.ts'

export interface RootWay {
  /** @param inner the edition's private folder, on the server */
  place(base: ImageMount, inner: string): RootPlaces
  /**
   * A node's root onto the disk: whatever the node may write, and whatever only it
   * may read, lies in an image of its own.
   * @param folder the edition's private folder; its images lie there under other names until it is whole
   * @param uuid of its image's file system
   */
  make(source: RootSource, folder: string, uuid: string): Promise<void>
  /** Tries it in an empty folder, and throws where it can't be had. Missing: it always can. */
  probe?(folder: string): Promise<void>
}

/** Where an edition's root lies. */
export interface RootPlaces {
  /** What the node mounts. */
  rootFolder: string
  overlay?: OverlayMount
  /** Of a shared root: the folder with the node's own files. */
  stateFolder?: string
  /** What must be mounted, in this order. */
  images: ImageMount[]
}

/** What a root is made of. */
export interface RootSource {
  /** The generation's root, as an image. */
  image: string
  /** Where that is mounted now. */
  lower: string
  edits: readonly RootEdit[]
  /** Time of everything that piimage puts into it. */
  modified: Date
  signal: AbortSignal
}

/** An image in the edition's private folder, mounted beside it. */
export const imageIn = (inner: string, name: string, writable: boolean): ImageMount => ({
  image: `${inner}/${name}.ext4`,
  folder: `${inner}/${name}`,
  writable,
})
