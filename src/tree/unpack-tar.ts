/**
 * An archive into a folder, by GNU tar: Node can make no device and set no
 * extended attribute, and its file times are rounded to some 200 nanoseconds.
 *
 * tar gets nothing but what TarWriter writes, so names and links in it are
 * those that were judged before. Its first complaint ends it.
 */
import { spawn } from 'node:child_process'
import { DriveError, UsageError } from '../errors.ts'
import type { TarWriter } from './tar-writer.ts'
import { writeArchive } from './write-archive.ts'

export interface UnpackOptions {
  /** False: everything belongs to whoever runs piimage, and attributes that only root may set are left out. */
  owners: boolean
  signal: AbortSignal
}

/** Enough of what tar says on stderr to be told. */
const COMPLAINT_CHARACTERS = 1000

/**
 * @param folder exists, and holds the directories that `fill` puts files into
 * @throws {DriveError} tar says why: no room, a file system without owners or attributes
 * @throws {UsageError} there is no tar
 */
export async function unpackInto(
  folder: string,
  options: UnpackOptions,
  fill: (writer: TarWriter) => Promise<void>,
): Promise<void> {
  const { owners, signal } = options
  const args = ['--extract', '--file=-', `--directory=${folder}`, '--preserve-permissions']
  args.push('--numeric-owner', owners ? '--same-owner' : '--no-same-owner')
  args.push('--xattrs', `--xattrs-include=${owners ? '*' : 'user.*'}`)
  // Without this, every link that has `..` in it is first a placeholder.
  args.push('--absolute-names', '--warning=no-timestamp')
  const child = spawn('tar', args, {
    stdio: ['pipe', 'ignore', 'pipe'],
    // The C locale leaves names as they are: bytes.
    env: { ...process.env, LC_ALL: 'C', TAR_OPTIONS: '' },
  })

  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, COMPLAINT_CHARACTERS)
    // tar says a line in pieces.
    if (complaint.includes('\n')) child.kill('SIGKILL')
  })
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', (error) => reject(noTar(error)))
    child.once('close', (status, killedBy) => {
      if (status === 0 && complaint === '') resolve()
      else reject(tarFailure(folder, complaint, `status ${status ?? killedBy}`))
    })
  })
  // Awaited below, maybe too late for Node.
  ended.catch(() => {})
  // Told by the status.
  child.stdin.on('error', () => {})
  const stop = () => void child.kill('SIGKILL')
  signal.addEventListener('abort', stop, { once: true })
  try {
    await writeArchive(child.stdin, fill)
    child.stdin.end()
    await ended
  } catch (error) {
    stop()
    const reason = await ended.catch((complained: Error) => complained)
    signal.throwIfAborted()
    // A broken pipe is of no interest: why did it break?
    const isBroken = error instanceof Error && 'code' in error && error.code === 'EPIPE'
    throw isBroken || complaint !== '' ? reason : error
  } finally {
    signal.removeEventListener('abort', stop)
  }
}

function noTar(error: Error): UsageError {
  return new UsageError(`tar can't be run: ${error.message}`, { hint: 'Install GNU tar.', cause: error })
}

function tarFailure(folder: string, complaint: string, status: string): DriveError | UsageError {
  const [line = ''] = complaint.trim().split('\n')
  if (/(unrecognized|unknown|not supported).*option|option .*not supported/i.test(line))
    return new UsageError(`the tar of this machine is not GNU tar: ${line}`, { hint: 'Install GNU tar.' })
  // The last bytes that fit are written; an attribute may be too large however much room there is.
  if (/No space left|quota exceeded|Wrote only/i.test(line) && !line.includes('extended attribute'))
    return new DriveError(`there is no room for all files in ${folder}: ${line}`, {
      hint: 'Free some space, or choose a folder on another drive.',
    })
  return new DriveError(`not every file can be made in ${folder}: ${line || status}`, {
    hint: 'The folder must lie on a Linux file system with owners and extended attributes, such as ext4.',
  })
}
