/**
 * Golden digests: what a cluster file becomes, file by file, as one JSON per
 * case in ./fixtures. A change that must not change bytes leaves them alone; a
 * change that must shows in the diff which files it changed.
 *
 *     npm run -s build:test && UPDATE=1 node --test build/test/golden/*.test.js
 *
 * writes them anew, and the tests fail in that run all the same, so that nobody
 * updates by accident.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { extract } from 'tar-stream'
import { FatVolume } from '../../src/disk/fat/volume.ts'
import { VOLUME_FILE } from '../../src/netroot/paths.ts'
import { packageRoot } from '../../src/package-root.ts'

/** Path → what it is: `sha256` on a card, `mode uid:gid sha256` of a node without one. */
export type Digests = Record<string, string>

/** @param name of the case: `<folder>/<name>` */
export function assertGolden(name: string, found: Digests): void {
  const path = join(packageRoot(), 'test/golden/fixtures', `${name}.json`)
  const sorted = Object.fromEntries(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
  if (process.env.UPDATE === '1') {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, `${JSON.stringify(sorted, null, 1)}\n`)
    assert.fail(`${path} was written anew: read its diff, then run without UPDATE=1`)
  }
  assert.deepEqual(sorted, JSON.parse(readFileSync(path, 'utf8')), `UPDATE=1 rewrites ${path}`)
}

export const sha256 = (content: string | Uint8Array): string =>
  createHash('sha256').update(content).digest('hex')

/** Every file of a boot partition. @param part where it lies, bytes */
export async function digestCard(
  image: Buffer,
  prefix: string,
  { offset, length }: { offset: number; length: number },
): Promise<Digests> {
  const digests: Digests = {}
  const volume = await FatVolume.open({
    length,
    read: async (at, count) => Uint8Array.from(image.subarray(offset + at, offset + at + count)),
    write: () => assert.fail('only read'),
  })
  const walk = async (folder: string): Promise<void> => {
    for (const { name, isDirectory } of await volume.list(folder)) {
      const path = folder === '' ? name : `${folder}/${name}`
      if (isDirectory) await walk(path)
      else digests[`${prefix}/${path}`] = sha256((await volume.readFile(path)) ?? assert.fail(path))
    }
  }
  await walk('')
  return digests
}

export async function digestTar(archive: Buffer, prefix: string): Promise<Digests> {
  const digests: Digests = {}
  const entries = extract()
  entries.end(archive)
  for await (const entry of entries) {
    const { name, type, mode = 0, uid = 0, gid = 0, linkname } = entry.header
    const content = await buffer(entry)
    const what = type === 'file' ? sha256(content) : type === 'directory' ? type : `${type} ${linkname}`
    const path = name.replace(/^\.\/|\/$/g, '')
    // mkfs makes no two alike.
    if (path === `volume/${VOLUME_FILE}`) continue
    digests[`${prefix}/${path}`] = `${mode.toString(8)} ${uid}:${gid} ${what}`
  }
  return digests
}

/** What `netroot --dry-run` prints: each file of a server by itself, and the plan of each node. */
export function digestDryRun(stdout: string, prefix: string): Digests {
  const digests: Digests = {}
  for (const part of stdout.split(/^(?=--- |\+ \S+ {2}|= )/m)) {
    const [, file] = /^--- .*\n\+\+\+ b(.*)\n/.exec(part) ?? []
    const [, node] = /^[+=] (\S+) {2}/.exec(part) ?? []
    digests[`${prefix} ${file ?? node ?? 'plan'}`] = sha256(part)
  }
  return digests
}
