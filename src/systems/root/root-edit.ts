/**
 * Changes to a root file system, as plain values. They are made by adding,
 * replacing and removing whole files, so that the same edits fit a copy, a
 * clone and a mounted overlay.
 */

export type RootEdit =
  | {
      kind: 'file'
      /** From the root, with a slash in front. */
      path: string
      content: Uint8Array
      /** Permission bits. Owner and group are root. */
      mode: number
    }
  | { kind: 'folder'; path: string; mode: number }
  | { kind: 'link'; path: string; target: string }
  | { kind: 'remove'; path: string }

const encoder = new TextEncoder()

export const file = (path: string, content: string | Uint8Array, mode = 0o644): RootEdit => ({
  kind: 'file',
  path,
  content: typeof content === 'string' ? encoder.encode(content) : content,
  mode,
})

export const folder = (path: string, mode = 0o755): RootEdit => ({ kind: 'folder', path, mode })

export const link = (path: string, target: string): RootEdit => ({ kind: 'link', path, target })

export const remove = (path: string): RootEdit => ({ kind: 'remove', path })

const UNITS = '/etc/systemd/system'

/** A unit of ours. */
export const unit = (name: string, text: string): RootEdit => file(`${UNITS}/${name}`, text)

/** Started with `target`, as `systemctl enable` would have it. */
export const wanted = (name: string, target: string): RootEdit =>
  link(`${UNITS}/${target}.wants/${name}`, `${UNITS}/${name}`)

/** Never started, whoever asks for it. */
export const masked = (name: string): RootEdit => link(`${UNITS}/${name}`, '/dev/null')

/** Lines beside a unit's own, also of one that is installed later. */
export const dropIn = (name: string, text: string): RootEdit =>
  file(`${UNITS}/${name}.d/50-piimage.conf`, text)
