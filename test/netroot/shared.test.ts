/** One read-only root for all: the segment as cpio reads it, its script as a shell does, each node's own files. */
import assert from 'node:assert/strict'
import { lstatSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { sharedSegment } from '../../src/netroot/shared/segment.ts'
import { stateArchive } from '../../src/netroot/shared/state.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'
import { disklessProject, STATE } from './diskless.ts'

/** The last archive of a file, unpacked by cpio. */
function unpack(archive: Uint8Array, folder: string): void {
  mkdirSync(folder, { recursive: true })
  const { status, stderr } = run('cpio', ['-i', '-d', '--quiet'], { input: archive, cwd: folder })
  assert.equal(status, 0, stderr)
}

test("the segment runs the image's own scripts first, and is a script that shells can read", (t) => {
  if (needTool(t, 'cpio', 'cpio') === undefined || needTool(t, 'shellcheck', 'shellcheck') === undefined)
    return
  const folder = tempFolder(t)
  unpack(sharedSegment(['theirs'], 1_700_000_000), folder)
  const place = join(folder, 'scripts/nfs-bottom')
  assert.equal(
    readFileSync(join(place, 'ORDER'), 'utf8'),
    '/scripts/nfs-bottom/theirs "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n' +
      '/scripts/nfs-bottom/piimage "$@"\n[ -e /conf/param.conf ] && . /conf/param.conf\n',
  )
  assert.equal(lstatSync(join(place, 'piimage')).mode & 0o7777, 0o755)
  assert.equal(run('sh', [join(place, 'piimage'), 'prereqs']).stdout, '\n')
  const judged = run('shellcheck', ['-s', 'dash', '-e', 'SC1091,SC2013,SC2154', join(place, 'piimage')])
  assert.equal(judged.stdout, '')
})

test('a removed file is a device 0:0 without any rights, as an overlay wants it', (t) => {
  const lower = tempFolder(t)
  writeFileSync(join(lower, 'gone'), '')
  const edits = [
    { kind: 'remove' as const, path: '/gone' },
    { kind: 'remove' as const, path: '/never' },
  ]
  const archive = stateArchive(lower, edits, new Date(0))
  // newc: six digits of magic, the inode, then the mode.
  assert.equal(archive.toString('latin1', 14, 22), '00002000')
  assert.equal(archive.includes('never'), false)
})

test('shared: one root read-only, a segment behind the initramfs, what is the node’s own over NFS', async (t) => {
  if (!needRoot(t) || needTool(t, 'cpio', 'cpio') === undefined) return
  const project = disklessProject(t)
  const said = await project.netroot('--root-mode', 'shared', '--json')
  assert.equal(said.status, 0, said.stderr)
  const { nodes } = JSON.parse(readFileSync(project.server(`${STATE}/served.json`), 'utf8'))
  const [oneil, carter] = nodes
  assert.equal(oneil.rootFolder, carter.rootFolder)
  const root = oneil.exports.find(({ folder }: { folder: string }) => folder === oneil.rootFolder)
  assert.equal(root.writable, false)
  const exports = readFileSync(project.server('/etc/exports.d/piimage.exports'), 'utf8')
  assert.match(exports, /private\/state 192\.168\.2\.11\(ro,/)
  assert.doesNotMatch(exports, /generations\/\S+ \S+\(rw/)

  const cmdline = readFileSync(project.server(`${oneil.bootFolder}/cmdline.txt`), 'utf8')
  assert.match(
    cmdline,
    / ro ip=.* piimage\.state=192\.168\.2\.10:\/srv\/piimage\/demo\/nodes\/oneil\/\S+\/private\/state/,
  )
  const stock = readFileSync(project.server(`${STATE}/generations/${oneil.generation}/boot/initramfs8`))
  const served = readFileSync(project.server(`${oneil.bootFolder}/initramfs8`))
  assert.ok(served.subarray(0, stock.length).equals(stock))
  const start = Math.ceil(stock.length / 4) * 4
  assert.equal(served.toString('latin1', start, start + 6), '070701')
  assert.equal(statSync(project.server(`${oneil.bootFolder}/initramfs8`)).nlink, 3, 'made once for all')
  assert.equal(served.includes('PRIVATE KEY'), false)

  project.mount()
  const folder = project.file('upper')
  unpack(readFileSync(project.server(`${oneil.stateFolder}/state.cpio`)), folder)
  assert.equal(readFileSync(join(folder, 'etc/hostname'), 'utf8'), 'oneil\n')
  assert.equal(lstatSync(join(folder, 'etc/ssh/ssh_host_ed25519_key')).mode & 0o7777, 0o600)
  assert.equal(lstatSync(project.server(`${oneil.stateFolder}/state.cpio`)).mode & 0o777, 0o600)
})
