/**
 * Debian packages of piimage.
 *
 *     node packaging/debian/build.mjs FOLDER [ARCHITECTURE NODE]    (after `npm run build`)
 *
 * Without more words: one package for every architecture, which uses Debian's
 * own Node (Debian 13 and Raspberry Pi OS Trixie have 20.19). With the words
 * `arm64` or `amd64` and the path of a Node executable: one that brings its own
 * Node, for Debian 12, whose Node is too old.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { hostname, tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { bundle } from '../bundle.mjs'
import { writeManPages } from '../man.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { version, description } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** As Debian's own tools find out who makes a package. */
const { DEBFULLNAME = userInfo().username, DEBEMAIL = `${userInfo().username}@${hostname()}` } = process.env
const MAINTAINER = `${DEBFULLNAME} <${DEBEMAIL}>`
/** Seconds; the same source gives the same package. */
process.env.SOURCE_DATE_EPOCH ??= lastCommit()

function lastCommit() {
  const { stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { cwd: root, encoding: 'utf8' })
  return stdout?.trim() || '0'
}

const SHELLS = {
  bash: 'usr/share/bash-completion/completions/piimage',
  zsh: 'usr/share/zsh/vendor-completions/_piimage',
  fish: 'usr/share/fish/vendor_completions.d/piimage.fish',
}

const control = ({ architecture, kilobytes }) => `Package: piimage
Version: ${version}
Architecture: ${architecture}
Maintainer: ${MAINTAINER}
Installed-Size: ${kilobytes}
${architecture === 'all' ? 'Depends: nodejs (>= 20.19)' : 'Depends: libc6 (>= 2.28), libstdc++6, libgcc-s1'}
Recommends: e2fsprogs, openssh-client
Suggests: dnsmasq-base, nfs-kernel-server
Section: admin
Priority: optional
Description: ${description}
 Writes verified SD cards for a cluster of Raspberry Pis, each with its own
 host name, user, keys, address and first-boot steps, and lays out and serves
 what nodes without cards boot from.
`

const changelog = () => `piimage (${version}) unstable; urgency=medium

  * See CHANGELOG.md.gz.

 -- ${MAINTAINER}  ${new Date(Number(process.env.SOURCE_DATE_EPOCH) * 1000).toUTCString().replace('GMT', '+0000')}
`

const copyright = () => `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: piimage

Files: *
Copyright: ${/Copyright.*$/m.exec(readFileSync(join(root, 'LICENSE'), 'utf8'))?.[0].replace(/^Copyright *(\(c\))? */i, '') ?? ''}
License: Expat
 The licences of the packages that are bundled stand in
 /usr/lib/piimage/THIRD-PARTY-LICENSES.
${readFileSync(join(root, 'LICENSE'), 'utf8')
  .split('\n')
  .map((line) => (line.trim() === '' ? ' .' : ` ${line}`))
  .join('\n')}
`

/** It runs one file, with a Node that was not built by Debian's rules. */
const OVERRIDES = `piimage: embedded-library
piimage: unstripped-binary-or-object
piimage: hardening-no-pie
piimage: hardening-no-bindnow
piimage: hardening-no-fortify-functions
`

function write(stage, path, content, mode = 0o644) {
  const file = join(stage, path)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, content, { mode })
  chmodSync(file, mode)
}

const gzip = (text) => gzipSync(text, { level: 9 })

const isScript = (path) => path.endsWith('.sh') && readFileSync(path, 'utf8').startsWith('#!')

/** Files 0644 or 0755, folders 0755, whatever the umask. */
function setModes(folder) {
  let bytes = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isSymbolicLink()) continue
    const { mode, size } = statSync(path)
    const isExecutable = entry.isDirectory() || (mode & 0o100) !== 0 || isScript(path)
    chmodSync(path, isExecutable ? 0o755 : 0o644)
    bytes += size
  }
  return Math.ceil(bytes / 1024)
}

/** @returns the package's path */
export async function buildPackage(folder, architecture = 'all', node = undefined) {
  const stage = mkdtempSync(join(tmpdir(), 'piimage-deb-'))
  try {
    chmodSync(stage, 0o755)
    const home = join(stage, 'usr/lib/piimage')
    await bundle(home)
    // Debian's own places for these are below usr/share/doc.
    rmSync(join(home, 'LICENSE'))
    rmSync(join(home, 'CHANGELOG.md'))
    const program = join(home, 'piimage.cjs')
    const source = readFileSync(program, 'utf8')
    mkdirSync(join(stage, 'usr/bin'), { recursive: true })
    if (node === undefined) {
      writeFileSync(program, source.replace(/^#!.*/, '#!/usr/bin/node'))
      symlinkSync('../lib/piimage/piimage.cjs', join(stage, 'usr/bin/piimage'))
    } else {
      writeFileSync(program, source.replace(/^#!.*\n/, ''))
      chmodSync(program, 0o644)
      cpSync(node, join(home, 'node'))
      chmodSync(join(home, 'node'), 0o755)
      write(
        stage,
        'usr/bin/piimage',
        '#!/bin/sh\nexec /usr/lib/piimage/node /usr/lib/piimage/piimage.cjs "$@"\n',
        0o755,
      )
      write(stage, 'usr/share/lintian/overrides/piimage', OVERRIDES)
    }
    const man = join(stage, 'man')
    for (const name of await writeManPages(man))
      write(stage, `usr/share/man/man1/${name}.gz`, gzip(readFileSync(join(man, name))))
    rmSync(man, { recursive: true })
    for (const [shell, path] of Object.entries(SHELLS))
      write(stage, path, execFileSync(process.execPath, [join(root, 'dist/cli.js'), 'completion', shell]))
    write(stage, 'usr/share/doc/piimage/copyright', copyright())
    write(stage, 'usr/share/doc/piimage/changelog.gz', gzip(changelog()))
    write(stage, 'usr/share/doc/piimage/CHANGELOG.md.gz', gzip(readFileSync(join(root, 'CHANGELOG.md'))))
    const kilobytes = setModes(stage)
    write(stage, 'DEBIAN/control', control({ architecture, kilobytes }))
    mkdirSync(folder, { recursive: true })
    const file = join(folder, `piimage_${version}_${architecture}.deb`)
    execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '-z3', '--build', stage, file], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    return file
  } finally {
    rmSync(stage, { recursive: true, force: true })
  }
}

const [, script, folder = 'build/debian', architecture, node] = process.argv
if (script === fileURLToPath(import.meta.url)) await buildPackage(folder, architecture, node)
