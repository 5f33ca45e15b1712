/**
 * piimage as one executable file for a platform: Node with piimage in it.
 *
 *     node packaging/single-file/build.mjs OUTPUT [NODE]
 *
 * NODE: the Node executable to put it into, of any platform; without it, the
 * one that runs this. Both must be of one version, since the format of the blob
 * is Node's own. A Mac wants its executables signed: `codesign --sign -` where
 * it was made, and a developer's identity for others.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inject } from 'postject'
import { bundle } from '../bundle.mjs'

/** Where Node looks for the blob, and what it marks itself with: Node's documentation of single executables. */
const RESOURCE = 'NODE_SEA_BLOB'
const FUSE = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2'

const isMachO = (bytes) => [0xfeedfacf, 0xcffaedfe, 0xcafebabe].includes(bytes.readUInt32BE(0))

/** @param node path of the Node executable that becomes piimage */
export async function buildSingleFile(output, node = process.execPath) {
  const work = mkdtempSync(join(tmpdir(), 'piimage-single-file-'))
  try {
    const files = join(work, 'files')
    const names = await bundle(files)
    writeFileSync(join(files, 'files.json'), JSON.stringify(names))
    const blob = join(work, 'blob')
    const config = {
      main: fileURLToPath(new URL('loader.cjs', import.meta.url)),
      output: blob,
      disableExperimentalSEAWarning: true,
      // A snapshot or a code cache would fit one platform only.
      useSnapshot: false,
      useCodeCache: false,
      assets: Object.fromEntries([...names, 'files.json'].map((name) => [name, join(files, name)])),
    }
    writeFileSync(join(work, 'config.json'), JSON.stringify(config))
    execFileSync(process.execPath, ['--experimental-sea-config', join(work, 'config.json')], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    copyFileSync(node, output)
    chmodSync(output, 0o755)
    const machoSegmentName = isMachO(readFileSync(output).subarray(0, 4)) ? 'NODE_SEA' : undefined
    await inject(output, RESOURCE, readFileSync(blob), { sentinelFuse: FUSE, machoSegmentName })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

const [, script, output, node] = process.argv
if (script === fileURLToPath(import.meta.url)) await buildSingleFile(output, node)
