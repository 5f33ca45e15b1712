/**
 * The head of diskless nodes, its kernel's NFS server, and an attacker on it:
 * runs as the first program of a machine of its own (./nfs-machine.ts), and
 * prints a line for each address that was attacked from.
 *
 * What a client may reach is not asked of the exports: it is every file of every
 * file system that is mounted for it, and of the base. Whatever else was read,
 * and every other file that changed, counts as outside.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServedCluster, ServedNode } from '../../src/netroot/served.ts'
import { attack, type Knowledge, MARK } from './nfs-attack.ts'

export interface Attacked {
  mode: string
  from: string
  /** Name of the node that has the address; '': a stranger's. */
  node: string
  handles: number
  found: number
  bytesRead: number
  outsideBytes: number
  outsideNames: number
  outsideFilesWritten: number
}

const STRANGER = '192.168.2.77'
/** A folder of the head's own file system is exported to this one, to see that the attack is one. */
const FOOL = '192.168.2.78'
const SWEEP = 700

function must(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${status} ${stderr} ${error ?? ''}`)
  return stdout
}

/** systemd.mount(5) → mount(8), images before what lies on them. */
function mountUnits(prefix: string): string[] {
  const folder = join(prefix, 'etc/systemd/system')
  const units = readdirSync(folder)
    .filter((name) => name.endsWith('.mount'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .sort((a, b) => Number(a.includes('\nType=overlay')) - Number(b.includes('\nType=overlay')))
  return units.map((unit) => {
    const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(unit)?.[1] ?? ''
    must('mount', '-t', value('Type'), '-o', value('Options'), value('What'), value('Where'))
    return value('Where')
  })
}

function* walk(folder: string, skip: (path: string) => boolean): Generator<string> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    if (skip(path)) continue
    yield path
    if (lstatSync(path).isDirectory()) yield* walk(path, skip)
  }
}

const digest = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
const firstBytes = (path: string): Buffer => readFileSync(path).subarray(0, 65536)

/** Digests of what can be read there, and the names. */
function contentsOf(folders: readonly string[]): { reads: Set<string>; names: Set<string> } {
  const reads = new Set<string>()
  const names = new Set(['.', '..', MARK])
  for (const folder of folders)
    for (const path of walk(folder, () => false)) {
      names.add(path.split('/').at(-1) ?? '')
      const entry = lstatSync(path)
      if (entry.isFile() && entry.size < 2 ** 28) reads.add(digest(firstBytes(path)))
    }
  return { reads, names }
}

const isImage = (path: string): boolean => /\.(ext4|img)$/.test(path)

/** Everything of these folders: path → what it is. Images change when their own node writes. */
function snapshot(folders: readonly string[], skip: (path: string) => boolean): Map<string, string> {
  const all = new Map<string, string>()
  for (const folder of folders)
    for (const path of walk(folder, skip)) {
      const { mode, size, mtimeMs } = lstatSync(path)
      if (!isImage(path)) all.set(path, `${mode} ${size} ${mtimeMs}`)
    }
  return all
}

function changesBetween(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): number {
  const paths = new Set([...before.keys(), ...after.keys()])
  // A folder's time changes with what is in it.
  return [...paths].filter((path) => before.get(path) !== after.get(path)).length
}

const uuidBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll('-', ''), 'hex')

const le = (value: number, bytes: 4 | 8): Buffer => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUInt32LE(value)
  return buffer
}

function knowledgeOf(served: ServedCluster, prizes: readonly string[], heads: readonly string[]): Knowledge {
  const { nodes } = served
  const exported = nodes.flatMap(({ exports }) => exports)
  const images = nodes.flatMap((node) => node.images ?? [])
  const uuidOf = (path: string) => uuidBytes(must('blkid', '-o', 'value', '-s', 'UUID', path).trim())
  const layers = [...heads, ...images.map(({ image }) => image)].map(uuidOf)
  const fsids = [
    ...exported.map(({ fsid }) => ({ type: 6, bytes: uuidBytes(fsid) })),
    ...layers.map((bytes) => ({ type: 6, bytes })),
    ...[...exported.map(({ fsid }) => uuidBytes(fsid)), ...layers].map((bytes) => ({
      type: 7,
      bytes: Buffer.concat([le(2, 8), bytes]),
    })),
    ...['/', ...images.map(({ folder }) => folder)].map((folder) => {
      const { dev } = lstatSync(folder)
      const [major, minor] = [Math.floor(dev / 256) % 4096, dev % 256]
      return { type: 3, bytes: Buffer.concat([le(major * 2 ** 20 + minor, 4), le(2, 4)]) }
    }),
    { type: 1, bytes: le(0, 4) },
  ]
  return {
    server: served.server.ip,
    mountPort: 20048,
    folders: [...new Set(exported.map(({ folder }) => folder))],
    fsids,
    layers,
    inodes: prizes.map((path) => ({ ino: lstatSync(path).ino, generation: 0 })),
    sweep: SWEEP,
  }
}

/** File systems that are mounted for a node, without what lies in a volume file. */
const ownFolders = ({ images = [], overlay }: ServedNode): string[] => [
  ...images.map(({ folder }) => folder),
  ...(overlay === undefined ? [] : [overlay.merged]),
]

async function attackMode(
  mode: string,
  prefix: string,
  heads: readonly string[],
  isLast: boolean,
): Promise<void> {
  const served: ServedCluster = JSON.parse(readFileSync(join(prefix, 'srv/piimage/demo/served.json'), 'utf8'))
  must('mount', '--bind', join(prefix, 'srv'), '/srv')
  const points = mountUnits(prefix)
  for (const node of served.nodes)
    for (const { folder, writable } of node.images ?? [])
      if (writable) writeFileSync(join(folder, `secret-of-${node.name}`), `secret of ${node.name}\n`)
  mkdirSync('/open', { recursive: true })
  writeFileSync(
    '/etc/exports',
    `/open ${FOOL}(rw,no_subtree_check,no_root_squash,fsid=99999999-0000-4000-8000-000000000001)\n`,
  )
  writeFileSync('/etc/exports.d/piimage.exports', readFileSync(join(prefix, 'etc/exports.d/piimage.exports')))
  must('exportfs', '-r')
  const everything = served.nodes.flatMap(ownFolders)
  const secrets = everything.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.startsWith('secret-of'))
      .map((name) => join(folder, name)),
  )
  const images = served.nodes.flatMap((node) => (node.images ?? []).map(({ image }) => image))
  const prizes = [
    '/',
    '/etc',
    '/etc/shadow',
    '/etc/cron.d',
    '/root/cluster/cluster.key',
    ...secrets,
    ...images,
  ]
  const knowledge = knowledgeOf(served, prizes, heads)
  knowledge.folders.push('/open', '/', '/srv', '/srv/piimage/demo')
  knowledge.fsids.push({ type: 6, bytes: uuidBytes('99999999-0000-4000-8000-000000000001') })
  const isSystem = (path: string) =>
    ['/proc', '/sys', '/dev', '/run', '/var/lib/nfs', '/heads'].includes(path)
  const attackers = [
    ...served.nodes.map(({ ip, name }) => ({ from: ip, node: name })),
    { from: STRANGER, node: '' },
    // It leaves nothing of the head as it was.
    ...(isLast ? [{ from: FOOL, node: '' }] : []),
  ]
  for (const { from, node } of attackers) {
    const own = served.nodes.filter(({ name }) => name === node).flatMap(ownFolders)
    const isOwn = (path: string) => own.includes(path)
    const known = contentsOf(own)
    const look = () => snapshot(['/'], (path) => isSystem(path) || isOwn(path))
    const before = look()
    const loot = await attack(knowledge, from)
    const outside = loot.reads.filter((bytes) => bytes.length > 0 && !known.reads.has(digest(bytes)))
    const attacked: Attacked = {
      mode,
      from: from === FOOL ? 'fool' : from,
      node,
      handles: loot.handles,
      found: loot.found,
      bytesRead: loot.reads.reduce((sum, { length }) => sum + length, 0),
      outsideBytes: outside.reduce((sum, { length }) => sum + length, 0),
      outsideNames: loot.names.filter((name) => !known.names.has(name)).length,
      outsideFilesWritten: changesBetween(before, look()),
    }
    process.stdout.write(`\nATTACKED ${JSON.stringify(attacked)}\n`)
  }
  if (isLast) return
  must('exportfs', '-ua')
  must('exportfs', '-f')
  for (const point of points.reverse()) must('umount', point)
  must('umount', '/srv')
}

const heads = ['/dev/vda', ...(existsSync('/dev/vdb') ? ['/dev/vdb'] : [])]
const modes = readdirSync('/heads').sort()
for (const mode of modes) await attackMode(mode, join('/heads', mode), heads, mode === modes.at(-1))
process.stdout.write('\nATTACKS DONE\n')
