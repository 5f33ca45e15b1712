/**
 * Whose files are whose: the user's who runs piimage and, under sudo, the
 * person's who asked. What somebody else may write is not to be relied on.
 *
 * Linux and macOS; Windows has no owners of this kind, and nothing is refused there.
 */
import { constants, type Stats } from 'node:fs'
import { chmod, type FileHandle, lchown, lstat, mkdir, open, realpath, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

const STICKY = 0o1000

interface Owner {
  uid: number
  gid: number
}

const effectiveUser = (): number | undefined => process.geteuid?.()

/** The person behind `sudo`. */
function sudoer(): Owner | undefined {
  const { SUDO_UID: uid, SUDO_GID: gid } = process.env
  if (effectiveUser() !== 0 || !/^[1-9]\d*$/.test(uid ?? '') || !/^\d+$/.test(gid ?? '')) return undefined
  return { uid: Number(uid), gid: Number(gid) }
}

/** Whether a file of this owner is one's own. */
const isOwn = (uid: number): boolean => uid === effectiveUser() || uid === sudoer()?.uid

/**
 * What root has just made in a person's folder, or in place of their file, on
 * behalf of that person, is theirs: else it would lock them out of their own home.
 *
 * @param made what was made: open, or by its path
 * @param near the folder it lies in, or the file that it replaces
 */
export async function giveToPerson(made: FileHandle | string, near: string): Promise<void> {
  const person = sudoer()
  if (person === undefined) return
  const { uid } = (await lstat(near).catch(() => undefined)) ?? (await lstat(dirname(near)))
  if (uid !== person.uid) return
  const { gid } = person
  await whereThereAreOwners(typeof made === 'string' ? lchown(made, uid, gid) : made.chown(uid, gid))
}

/**
 * A folder, made with its parents where it is missing: private, whatever the umask.
 * @returns its path without links, to be used from here on
 * @throws errno of mkdir(2)
 */
export async function makeFolder(path: string): Promise<string> {
  await makeWithParents(path, (folder) => whereThereAreOwners(chmod(folder, 0o700)))
  return realpath(path)
}

/** A folder for what a person asked for, made with its parents where it is missing, as their umask says. */
export const makeOutputFolder = (path: string): Promise<void> => makeWithParents(path, async () => {})

/** Not mkdir's own `recursive`, which says ENOENT of a read-only file system. */
async function makeWithParents(path: string, finish: (made: string) => Promise<void>): Promise<void> {
  if (await isFolder(path)) return
  if (dirname(path) !== path) await makeWithParents(dirname(path), finish)
  try {
    await mkdir(path)
  } catch (error) {
    // Somebody else made it meanwhile.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST' && (await isFolder(path))) return
    throw error
  }
  await finish(path)
  await giveToPerson(path, dirname(path))
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/**
 * Who else can put something into a folder, or another folder in its place; as
 * ssh judges the folders around a key.
 * @param path absolute, without links (`makeFolder`)
 * @returns in words, undefined: nobody
 */
export async function strangersIn(path: string): Promise<string | undefined> {
  if (effectiveUser() === undefined) return undefined
  for (let folder = path; ; folder = dirname(folder)) {
    const info = await lstat(folder)
    if (info.uid !== 0 && !isOwn(info.uid)) return `${folder} belongs to another user (${info.uid})`
    // In a sticky folder (/tmp) nobody can rename what another made.
    const isShared = folder !== path && (info.mode & STICKY) !== 0
    if (!isShared && isWritableByOthers(info)) return `${folder} can be written by other users`
    if (dirname(folder) === folder) return undefined
  }
}

/**
 * Whether every user of this machine can read a file or folder; where there are no modes, nobody is kept from any.
 * @param path absolute, without links
 */
export async function isOpenToAll(path: string): Promise<boolean> {
  if (effectiveUser() === undefined) return true
  if (((await stat(path)).mode & 0o004) === 0) return false
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (((await stat(folder)).mode & 0o001) === 0) return false
    if (dirname(folder) === folder) return true
  }
}

/** A group that has its owner's number is the owner's alone (user private groups). */
const isWritableByOthers = ({ mode, uid, gid }: Stats): boolean =>
  (mode & 0o002) !== 0 || ((mode & 0o020) !== 0 && gid !== uid)

/** Never a link's target, and never waiting for a pipe's other end. */
const PLAIN = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)

/** A plain file that is one's own and has no second name: what was found is what others can't reach. */
const isPlainAndOwn = (info: Stats): boolean =>
  info.isFile() && info.nlink === 1 && (effectiveUser() === undefined || isOwn(info.uid))

/**
 * Open a file for reading that lies where only its owner writes.
 * @throws errno ELOOP: a link; ENOENT: none, or no plain file of one's own
 */
export async function openOwn(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | PLAIN)
  if (isPlainAndOwn(await handle.stat())) return handle
  await handle.close()
  throw Object.assign(new Error(`${path} is not a plain file of this user`), { code: 'ENOENT', path })
}

/** Make a new file, open for reading and writing; whatever has the name goes first, a link itself and not its target. */
export async function createOwn(path: string, mode: number, flags = 0): Promise<FileHandle> {
  await rm(path, { force: true })
  const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | flags, mode)
  try {
    await whereThereAreOwners(handle.chmod(mode))
    await giveToPerson(handle, dirname(path))
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** A file system without owners and modes (FAT) refuses both. */
async function whereThereAreOwners(change: Promise<void>): Promise<void> {
  await change.catch((error: NodeJS.ErrnoException) => {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(error.code ?? '')) throw error
  })
}

/** Open a file to append to what is in it, made where there is none; anything but a plain file of one's own is replaced. */
export async function appendToOwn(path: string, mode: number): Promise<FileHandle> {
  try {
    const handle = await open(path, constants.O_RDWR | constants.O_APPEND | PLAIN)
    if (isPlainAndOwn(await handle.stat())) return handle
    await handle.close()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    // No file, a link (ELOOP; EMLINK on BSD), or a socket.
    if (!['ENOENT', 'ELOOP', 'EMLINK', 'ENXIO'].includes(code ?? '')) throw error
  }
  return createOwn(path, mode, constants.O_APPEND)
}
