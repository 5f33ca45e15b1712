/**
 * A small apt archive in Docker's layout, `linux/debian/dists/trixie`, signed
 * with a key that is thrown away. Docker's own packages in it are Debian's under
 * the names that Docker gives them, and packed with zstd: unpacking xz is most
 * of an installation on an emulated processor.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../support/tools.ts'

export interface LocalArchive {
  /** Serve this folder; the archive is at `linux/debian` and, by another name, at `debian`. */
  folder: string
  /** The public key, armored. */
  key: string
  /** 40 upper-case hex digits. */
  fingerprint: string
}

/** Debian's name → Docker's. */
const renamed: Record<string, string> = {
  'docker.io': 'docker-ce',
  'docker-cli': 'docker-ce-cli',
  containerd: 'containerd.io',
}

function must(command: string, args: readonly string[], cwd?: string): string {
  const ran = run(command, args, cwd === undefined ? {} : { cwd })
  if (ran.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${ran.stderr}`)
  return ran.stdout
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A field of control(5), with its lines of continuation. */
const field = (names: string): RegExp => new RegExp(`^(${names}):.*\\n([ \\t].*\\n)*`, 'gm')

function repack(deb: string, newName: string, pool: string, folder: string): void {
  const tree = join(folder, newName)
  must('dpkg-deb', ['-R', deb, tree])
  const control = join(tree, 'DEBIAN', 'control')
  let text = readFileSync(control, 'utf8').replace(field('Conflicts|Breaks|Replaces|Built-Using'), '')
  text = text.replace(/^Package: .*/m, `Package: ${newName}`)
  text = text.replace(/^Depends: .*/m, (depends) =>
    depends.replace(/\bcontainerd \([^)]*\)/, 'containerd.io'),
  )
  writeFileSync(control, text)
  must('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z3', '-b', tree, join(pool, `${newName}.deb`)])
  rmSync(tree, { recursive: true })
}

/** A paragraph of the index `Packages`. */
function describe(deb: string, pool: string): string {
  const bytes = readFileSync(join(pool, deb))
  const control = must('dpkg-deb', ['-f', join(pool, deb)]).trimEnd()
  return `${control}\nFilename: pool/${deb}\nSize: ${bytes.length}\nSHA256: ${sha256(bytes)}\n`
}

function sign(folder: string, release: string): { key: string; fingerprint: string } {
  const home = join(folder, 'gnupg')
  mkdirSync(home, { mode: 0o700 })
  const gpg = (...args: string[]) => must('gpg', ['--homedir', home, '--batch', '--passphrase', '', ...args])
  gpg('--quick-gen-key', 'throw-away', 'ed25519', 'sign', 'never')
  gpg('--clearsign', '-o', join(release, 'InRelease'), join(release, 'Release'))
  const key = join(folder, 'archive.asc')
  gpg('--armor', '-o', key, '--export')
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(gpg('--with-colons', '--fingerprint'))?.[1]
  if (fingerprint === undefined) throw new Error('gpg made no key')
  run('gpgconf', ['--homedir', home, '--kill', 'all'])
  return { key, fingerprint }
}

/**
 * @param debs folder of packages, as test/fixtures/arm64-debs.gen.sh fills it
 * @param folder for the archive; a new one
 */
export function makeLocalArchive(debs: string, folder: string): LocalArchive {
  const site = join(folder, 'site')
  const archive = join(site, 'linux', 'debian')
  const pool = join(archive, 'pool')
  const release = join(archive, 'dists', 'trixie')
  const index = join('stable', 'binary-arm64', 'Packages')
  mkdirSync(pool, { recursive: true })
  mkdirSync(join(release, 'stable', 'binary-arm64'), { recursive: true })
  symlinkSync('linux/debian', join(site, 'debian'))
  for (const name of readdirSync(debs).filter((file) => file.endsWith('.deb'))) {
    const newName = renamed[name.split('_', 1)[0] ?? '']
    if (newName === undefined) symlinkSync(join(debs, name), join(pool, name))
    else repack(join(debs, name), newName, pool, folder)
  }
  const packages = readdirSync(pool)
    .map((deb) => describe(deb, pool))
    .join('\n')
  writeFileSync(join(release, index), packages)
  writeFileSync(
    join(release, 'Release'),
    `Origin: local\nSuite: trixie\nCodename: trixie\nComponents: stable\nArchitectures: arm64 all\nDate: ${new Date().toUTCString()}\nSHA256:\n ${sha256(Buffer.from(packages))} ${Buffer.byteLength(packages)} ${index}\n`,
  )
  return { folder: site, ...sign(folder, release) }
}
