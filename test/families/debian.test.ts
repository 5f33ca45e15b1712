/**
 * Debian's own image after its first boot: raspi-firmware writes cmdline.txt and
 * config.txt anew with every kernel. Its own hook is run over a baked card, and
 * what the node needs must be there afterwards.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { needEnv, needRoot, run } from '../support/tools.ts'
import { familyProject } from './family-project.ts'

const any = { evidence: /./, files: [], cmdline: /./, volume: '' }
const releases = [
  { release: 'bookworm', image: 'debian-bookworm-arm64-raspi@2023-11-09', kernel: '6.1.0-13-arm64' },
  { release: 'trixie', image: 'debian-trixie-arm64-raspi@2026-03-01', kernel: '6.12.48+deb13-arm64' },
]

/** `/boot` and `/etc/default` are the card's while the hook runs, and the machine says that it is a Pi. */
const asOnTheBoard = `set -e
mount --bind "$1/boot" /boot
mount --bind "$1/default" /etc/default
exec env DEB_MAINT_PARAMS=configure PATH="$1/bin:$PATH" sh "$2"`

for (const { release, image, kernel } of releases)
  test(`${release}: what raspi-firmware writes with the next kernel has the node's parameters and lines`, async (t) => {
    const hooks = needEnv(t, 'PIIMAGE_RASPI_FIRMWARE', '.ci/raspi-firmware FOLDER gets its hooks')
    if (hooks === undefined || !needRoot(t)) return
    const family = { name: `debian-${release}`, image, system: `debian ${release}`, ...any }
    const project = familyProject(t, family)
    if (project === undefined) return
    const cluster = readFileSync(project.file('cluster.yaml'), 'utf8')
    const more = cluster.replace('[ssh, cgroups]', '[ssh, cgroups, { gpu-mem: { megabytes: 32 } }]')
    writeFileSync(project.file('cluster.yaml'), more)
    const baked = await project.piimage('bake', '--all', '-o', project.file('out'))
    assert.equal(baked.status, 0, baked.stderr)

    const volume = `${project.file('out/oneil.img')}@@${8192 * 512}`
    const read = (path: string): string => {
      const said = run('mtype', ['-i', volume, `::${path}`], { env: { MTOOLS_SKIP_CHECK: '1' } })
      assert.equal(said.status, 0, `${path}: ${said.stderr}`)
      return said.stdout
    }
    const folder = project.file('board')
    for (const part of ['boot/firmware', 'default', 'bin']) mkdirSync(join(folder, part), { recursive: true })
    // The image's own word on its root, and what the first boot puts beside it.
    writeFileSync(join(folder, 'default/raspi-firmware'), 'ROOTPART=LABEL=RASPIROOT\n')
    for (const [, name, source] of read('piimage/files.list').matchAll(
      /^0644 root root \/etc\/default\/(raspi-\S+) (\S+)$/gm,
    ))
      writeFileSync(join(folder, `default/${name}`), read(`piimage/${source}`))
    for (const name of ['cmdline.txt', 'config.txt'])
      writeFileSync(join(folder, 'boot/firmware', name), read(name))
    for (const name of [`vmlinuz-${kernel}`, `initrd.img-${kernel}`])
      writeFileSync(join(folder, 'boot', name), name)
    for (const [name, line] of [
      ['dpkg', 'echo arm64'],
      ['ischroot', 'exit 0'],
    ] as const)
      writeFileSync(join(folder, 'bin', name), `#!/bin/sh\n${line}\n`, { mode: 0o755 })

    copyFileSync(join(hooks, release), join(folder, 'hook'))
    const script = ['--mount', '--propagation', 'private', 'sh', '-c', asOnTheBoard, 'sh']
    const ran = run('unshare', [...script, folder, join(folder, 'hook')])
    assert.equal(ran.status, 0, ran.stderr)

    const written = (name: string) => readFileSync(join(folder, 'boot/firmware', name), 'utf8')
    const tokens = written('cmdline.txt').trim().split(/\s+/)
    assert.ok(tokens.includes('root=LABEL=RASPIROOT'), tokens.join(' '))
    for (const token of ['cfg80211.ieee80211_regdom=US', 'cgroup_enable=memory'])
      assert.equal(tokens.filter((one) => one === token).length, 1, `${token} in ${tokens.join(' ')}`)
    assert.ok(!tokens.some((token) => token.startsWith('systemd.run')), 'the first boot is over')
    assert.equal(written('cmdline.txt').trimEnd().split('\n').length, 1)
    const config = written('config.txt')
    assert.match(config, new RegExp(`^kernel=vmlinuz-${kernel.replaceAll(/[.+]/g, '\\$&')}$`, 'm'))
    assert.equal(config.match(/^gpu_mem=32$/gm)?.length, 1, config)
  })
