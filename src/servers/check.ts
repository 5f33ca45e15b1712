/**
 * The servers' own opinion of their files: `dnsmasq --test`, and the parser of
 * nfs-utils.
 *
 * exportfs has no mode that only parses. It is run with namespaces of its own,
 * where its table is an empty file system and no NFS server listens: then it
 * reads, complains, and changes nothing.
 */
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { NetrootError } from '../errors.ts'
import { complaintOf, type RunProgram } from '../io/run-program.ts'
import { isDnsmasqFile } from './dnsmasq-settings.ts'
import { DNSMASQ_FILE, EXPORTS_FILE, RESERVATIONS_FILE, type ServerFile } from './server-file.ts'
import { dnsmasqValue } from './written-value.ts'

export interface Checked {
  /** `dnsmasq` or `exportfs`. */
  checker: string
  /** undefined: it took the files. */
  skipped?: string
}

/** @throws {NetrootError} a checker refuses what lies at its place */
export async function checkServers(
  files: readonly ServerFile[],
  prefix: string,
  run: RunProgram,
): Promise<Checked[]> {
  const has = (path: string): boolean => files.some((file) => file.path === path)
  const checks: Checked[] = []
  if (has(DNSMASQ_FILE)) checks.push(await checkDnsmasq(prefix, run))
  if (has(EXPORTS_FILE)) checks.push(await checkExports(prefix, run))
  return checks
}

/** All settings together, and the reservations with them, which `--test` alone doesn't read. */
async function checkDnsmasq(prefix: string, run: RunProgram): Promise<Checked> {
  const folder = await mkdtemp(join(tmpdir(), 'piimage-dnsmasq-'))
  try {
    const all = join(folder, 'all.conf')
    const lines = (await settingsFiles(prefix)).map((file) => `conf-file=${dnsmasqValue(file)}`)
    const reservations = await linesOf(prefix + RESERVATIONS_FILE)
    await writeFile(all, [...lines, ...reservations.map((line) => `dhcp-host=${line}`), ''].join('\n'))
    const ran = await run('dnsmasq', ['--test', '-C', all])
    if (ran.status === 127) return { checker: 'dnsmasq', skipped: 'dnsmasq is not installed' }
    if (ran.status === 0) return { checker: 'dnsmasq' }
    throw new NetrootError(`dnsmasq does not take its settings: ${complaintOf(ran)}`, {
      hint: 'Nothing was changed. Settings of others beside ours may be the cause: see /etc/dnsmasq.d.',
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function settingsFiles(prefix: string): Promise<string[]> {
  const folder = `${prefix}/etc/dnsmasq.d`
  const names = (await readdir(folder)).filter(isDnsmasqFile).sort()
  const main = `${prefix}/etc/dnsmasq.conf`
  const hasMain = await access(main).then(
    () => true,
    () => false,
  )
  return [...(hasMain ? [main] : []), ...names.map((name) => join(folder, name))]
}

async function linesOf(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

/** $1: the prefix; then another machine's exports are read in the place of ours. */
const EXPORTFS = `set -e
mount -t tmpfs none /var/lib/nfs
if [ -n "$1" ]; then
  mkdir -p /var/lib/nfs/etc/exports.d
  for file in exports exports.d; do
    [ ! -e "$1/etc/$file" ] || cp -R "$1/etc/$file" /var/lib/nfs/etc/
  done
  mount --bind /var/lib/nfs/etc /etc
fi
exportfs -r`

async function checkExports(prefix: string, run: RunProgram): Promise<Checked> {
  const skip = (skipped: string): Checked => ({ checker: 'exportfs', skipped })
  if (process.getuid?.() !== 0) return skip('only root may ask it')
  if ((await run('exportfs', ['-h'])).status === 127) return skip('nfs-kernel-server is not installed')
  const own = ['unshare', ['--mount', '--net', 'mount', '-t', 'tmpfs', 'none', '/var/lib/nfs']] as const
  if ((await run(...own)).status !== 0) return skip('it needs namespaces of its own')
  const ran = await run('unshare', ['--mount', '--net', 'sh', '-c', EXPORTFS, 'sh', prefix])
  const complaints = ran.stderr.split('\n').filter((line) => line.trim() !== '' && !isHarmless(line, prefix))
  if (ran.status === 0 || (ran.stderr !== '' && complaints.length === 0)) return { checker: 'exportfs' }
  throw new NetrootError(
    `exportfs does not take the exports: ${complaintOf({ ...ran, stderr: complaints.join('\n') })}`,
    {
      hint: 'Nothing was changed. Exports of others beside ours may be the cause: see /etc/exports.',
    },
  )
}

/** A machine without exports of others needs no /etc/exports, and another machine's folders are not to be found here. */
const isHarmless = (line: string, prefix: string): boolean =>
  line.includes("can't open /etc/exports for reading") || (prefix !== '' && line.includes('Failed to stat '))
