/**
 * A drive or a file, read and written past the page cache.
 *
 * Why past it: writing through the cache fills memory and then stalls in one
 * long flush, and reading back through it compares our own memory with itself.
 * On Linux this is O_DIRECT; buffers must then be page-aligned
 * (../io/aligned-buffer.ts), offsets and lengths multiples of the sector.
 * macOS has no O_DIRECT, but /dev/rdiskN is uncached by nature.
 *
 * A file system that refuses O_DIRECT (EINVAL when opening or at the first
 * request) is used through its cache instead; `direct` then says false.
 */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'

export interface DirectFile {
  readonly path: string
  /** Whether requests go past the page cache. May turn false at the first request. */
  readonly direct: boolean
  /** Fill `into` from `offset`; short reads are continued. @throws errno, or ENODATA where the file ends early */
  read(into: Buffer, offset: number): Promise<void>
  /** All of `bytes`; short writes are continued. @throws errno */
  write(bytes: Buffer, offset: number): Promise<void>
  /**
   * fsync(2): on Linux it returns when the drive says it has stored everything. On macOS it does
   * so for files only (F_FULLFSYNC). A raw disk there is a character device, for which the kernel's
   * fsync does nothing and F_FULLFSYNC is refused; what would reach the drive's own memory is
   * DKIOCSYNCHRONIZECACHE, an ioctl that Node has no way to. There, the order of requests is the
   * order in which they were handed to the drive, what was written is read back from it, and
   * ejecting it in the end is what makes it store everything (../drives/diskutil.ts).
   */
  flush(): Promise<void>
  /** `st_rdev` of what is really open, whatever its name leads to by now. */
  deviceNumber(): Promise<bigint>
  /** Set a regular file's length. */
  truncate(length: number): Promise<void>
  close(): Promise<void>
}

export interface DirectFileOptions {
  /**
   * `drive`: an existing drive, for nobody else (O_EXCL on Linux, O_EXLOCK on macOS). `new-file`: a file that must not exist yet.
   * `file`: an existing one, through the page cache, at any offset.
   */
  kind: 'drive' | 'new-file' | 'file'
  platform?: NodeJS.Platform
}

/** A new file is a node's card: its keys and passwords are for nobody else on this machine. */
const OWN_MODE = 0o600

/** <sys/fcntl.h> of macOS; Node does not name it. Two piimage that ask for it can't both have one drive. */
const O_EXLOCK = 0x20

/** @throws errno of open(2): EBUSY (macOS, where another piimage has it: EAGAIN) where another program holds the drive, EEXIST where the new file exists */
export async function openDirectFile(path: string, options: DirectFileOptions): Promise<DirectFile> {
  const platform = options.platform ?? process.platform
  if (options.kind === 'file') return directFile(path, await open(path, constants.O_RDWR), false)
  // Without O_CREAT, O_EXCL means on Linux: fail if the block device is mounted or held.
  const alone = platform === 'darwin' ? O_EXLOCK | constants.O_NONBLOCK : constants.O_EXCL
  const drive = constants.O_RDWR | alone
  const file = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
  const flags = options.kind === 'drive' ? drive : file
  const uncached = options.kind === 'drive' && path.startsWith('/dev/rdisk')
  if (constants.O_DIRECT === undefined) return directFile(path, await open(path, flags, OWN_MODE), uncached)
  try {
    return directFile(path, await open(path, flags | constants.O_DIRECT, OWN_MODE), true, flags)
  } catch (error) {
    if (!isInvalid(error)) throw error
    // The refused open may have made the file already.
    const again = options.kind === 'drive' ? flags : constants.O_RDWR | constants.O_CREAT
    return directFile(path, await open(path, again, OWN_MODE), false)
  }
}

/** @param plainFlags how to open it again should the first direct request be refused */
function directFile(path: string, opened: FileHandle, isDirect: boolean, plainFlags?: number): DirectFile {
  let handle = opened
  let direct = isDirect
  let used = false

  const request = async (operation: () => Promise<void>): Promise<void> => {
    try {
      await operation()
      used = true
    } catch (error) {
      if (used || !direct || plainFlags === undefined || !isInvalid(error)) throw error
      await handle.close()
      handle = await open(path, constants.O_RDWR | (plainFlags & constants.O_CREAT ? 0 : constants.O_EXCL))
      direct = false
      await operation()
      used = true
    }
  }

  return {
    path,
    get direct() {
      return direct
    },
    read: (into, offset) =>
      request(async () => {
        for (let done = 0; done < into.length; ) {
          const { bytesRead } = await handle.read(into, done, into.length - done, offset + done)
          if (bytesRead === 0) throw endsEarly(path, offset + done)
          done += bytesRead
        }
      }),
    write: (bytes, offset) =>
      request(async () => {
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done)
          if (bytesWritten === 0) throw endsEarly(path, offset + done)
          done += bytesWritten
        }
      }),
    flush: () => handle.sync(),
    deviceNumber: async () => (await handle.stat({ bigint: true })).rdev,
    truncate: (length) => handle.truncate(length),
    close: () => handle.close(),
  }
}

const isInvalid = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'EINVAL'

function endsEarly(path: string, offset: number): NodeJS.ErrnoException {
  return Object.assign(new Error(`${path} ends at byte ${offset}`), { code: 'ENODATA' })
}
