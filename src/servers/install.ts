/** The Debian packages that serve, where somebody asked for them. */
import { NetrootError } from '../errors.ts'
import { complaintOf, type RunProgram } from '../io/run-program.ts'
import { DNSMASQ_FILE, type ServerFile } from './server-file.ts'

/** Each with a file that only it has: dnsmasq-base alone has no unit. */
const PACKAGES = ['dnsmasq', 'nfs-kernel-server', 'e2fsprogs']

/** Of those that these files need. */
export async function missingPackages(files: readonly ServerFile[], run: RunProgram): Promise<string[]> {
  const needed = PACKAGES.filter(
    (name) => name !== 'dnsmasq' || files.some(({ path }) => path === DNSMASQ_FILE),
  )
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query's own placeholders
  const ran = await run('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...needed])
  const installed = ran.stdout
    .split('\n')
    .flatMap((line) => (line.endsWith(' installed') ? line.split(' ')[0] : []))
  return needed.filter((name) => !installed.includes(name))
}

/** @throws {NetrootError} apt-get fails */
export async function installPackages(
  names: readonly string[],
  run: RunProgram,
  signal: AbortSignal,
): Promise<void> {
  const apt = (...args: string[]) =>
    run('apt-get', ['-q', '-y', '-o', 'Dpkg::Options::=--force-confold', ...args], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
      signal,
    })
  const updated = await apt('update')
  const ran = updated.status === 0 ? await apt('install', '--no-install-recommends', ...names) : updated
  if (ran.status !== 0)
    throw new NetrootError(`${names.join(', ')} could not be installed: ${complaintOf(ran)}`, {
      hint: `Install by hand and run again: apt-get install ${names.join(' ')}`,
    })
}
