/** Loop mounts, for tests that let the kernel judge a volume. Root only. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { VolumeFile } from './ext4-images.ts'
import { run } from './tools.ts'

/**
 * Mount a volume, hand its folder to `use`, and unmount and detach it, also on failure.
 *
 * @param file `offset`: where in it the volume starts
 * @param mode `rw` to fill it, `ro` to compare: read-only and without changing access times
 */
export async function withMount<T>(
  file: VolumeFile & { offset?: number },
  mode: 'rw' | 'ro',
  use: (folder: string) => T | Promise<T>,
): Promise<T> {
  const from = ['-o', String(file.offset ?? 0)]
  const attached = run('losetup', ['-f', '--show', ...from, ...(mode === 'ro' ? ['-r'] : []), file.path])
  assert.equal(attached.status, 0, attached.stderr)
  const device = attached.stdout.trim()
  const folder = mkdtempSync(join(tmpdir(), 'piimage-mount-'))
  try {
    const options = mode === 'ro' ? 'ro,noatime' : 'rw,acl,user_xattr'
    const mounted = run('mount', ['-t', 'ext4', '-o', options, device, folder])
    assert.equal(mounted.status, 0, mounted.stderr)
    try {
      return await use(folder)
    } finally {
      // A mount namespace that somebody made meanwhile keeps the volume mounted, but not written to.
      if (mode === 'rw') run('mount', ['-o', 'remount,ro', folder])
      const unmounted = run('umount', [folder])
      assert.equal(unmounted.status, 0, unmounted.stderr)
    }
  } finally {
    rmdirSync(folder)
    run('losetup', ['-d', device])
  }
}
