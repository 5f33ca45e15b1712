/**
 * What asking a publisher takes: the request of the person, what an adapter may
 * ask of the network, and the adapter. An adapter knows one publisher's habits
 * and decides whom to believe; it opens no connection itself.
 */
import type { Task } from '../progress.ts'
import type { LockedImage } from './locked-image.ts'

export interface LockRequest {
  /** Address of the image: https:, http: or file: (relative ones start at the lock's folder). */
  url: string
  /** Key to lock it under; undefined: made from the publisher's file name. */
  key?: string
  /** What the person knows it to be; must agree with what the publisher says. */
  sha256?: string
  /** Where nobody says what it is: download it, hash it and record that. */
  trustFirstUse: boolean
  /** It is a file of the person's own: its name need not say what it is. */
  ownFile?: boolean
  /** Don't check a publisher's signature (which needs the whole download). */
  skipSignature?: boolean
  /** The lock it is for. */
  lockFile: string
}

export interface PublisherHttp {
  /**
   * Where a file is, and its size where the server says it.
   * @returns `addresses`: every one on the way, the given one first
   */
  head(url: string): Promise<{ addresses: string[]; size: number | null }>
  /** A small file, whole; undefined: there is none. @throws {FetchError} more than `limit` bytes */
  read(url: string, limit: number): Promise<Uint8Array | undefined>
  /** The image itself, on this machine; checked against `sha256` where that is given. */
  file(
    url: string,
    expected: { sha256?: string; size: number | null },
  ): Promise<{ path: string; size: number; sha256: string }>
}

export interface LockContext {
  http: PublisherHttp
  /** YYYY-MM-DD, for `checked`. */
  today: string
}

export interface Adapter {
  name: string
  matches(url: string): boolean
  /**
   * @throws {FetchError} the publisher can't be asked, or its answers disagree
   * @throws {UsageError} the publisher says no digest and the request neither
   */
  lock(request: LockRequest, context: LockContext, task: Task): Promise<LockedImage>
}
