/** One image as images.lock.json pins it: the words of schema/images.lock.v1.json. */

export type ImageFormat = 'xz' | 'gz' | 'zst' | 'zip' | 'img' | 'tar.xz'

export interface Source {
  /** Who says so. Publishers first; `third-party` needs `detail`; `user` is --sha256; `computed` was hashed here on first use. */
  kind:
    | 'publisher-sidecar'
    | 'publisher-catalog'
    | 'publisher-page'
    | 'github-asset-digest'
    | 'third-party'
    | 'user'
    | 'computed'
  url?: string
  detail?: string
  /** YYYY-MM-DD. */
  checked?: string
  /** OpenPGP fingerprint, 40 upper-case hex digits; only after the signature verified. */
  signedBy?: string
}

export interface Part {
  /** Bytes; null while nobody has said it (the digest is what counts). */
  size: number | null
  /** Lower-case hex. */
  sha256: string
  source: Source
}

export interface LockedImage {
  /** `<os>-<release>-<arch>-<variant>@<version>` */
  key: string
  os: string
  release: string | null
  version: string
  arch: 'armhf' | 'arm64'
  variant: string
  /** https:, http: or file:, absolute. */
  url: string
  /** Other addresses of the same bytes, tried in order after `url`. */
  mirrors?: string[]
  /** How the lock file writes them, where a relative `file:` URL makes that differ. */
  written?: { url: string; mirrors?: string[] }
  format: ImageFormat
  /** Name of the .img inside a zip. */
  member?: string
  download: Part
  /** null: not known yet; computed once the download verified. */
  extracted: Part | null
}

export interface Lock {
  /** The file it was read from; relative `file:` URLs start at its folder. */
  file: string
  /** Its `$schema`, as written. */
  schema?: string
  /** By key. */
  images: Map<string, LockedImage>
}
