/** `sudo piimage` as it works on this machine. */
import { accessSync, constants } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

/** Where sudo looks, whatever PATH says: secure_path of Debian's and most other sudoers. */
const SECURE_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** Works wherever `piimage` itself does: in a home folder too, with a Node that lies there as well. */
export const SUDO_ANYWHERE = 'sudo env "PATH=$PATH" piimage'

export const SUDO_HINT = `Run the command with sudo; where sudo does not find piimage: ${SUDO_ANYWHERE} …`

/** For a piimage that sudo would not find, the way round that. */
export function sudoPiimage({ PATH = '' }: Readonly<Record<string, string | undefined>>): string {
  const found = PATH.split(delimiter)
    .map((folder) => join(folder, 'piimage'))
    .find(isExecutable)
  return found === undefined || SECURE_PATH.includes(dirname(found)) ? 'sudo piimage' : SUDO_ANYWHERE
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
