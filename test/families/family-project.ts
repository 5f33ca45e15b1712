/**
 * A cluster of one node on an image of one system: the image made by
 * test/fixtures/families.gen.sh, a lock that pins it, and piimage run there.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { runPiimage, type Said } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

export interface Family {
  /** As families.gen.sh calls it. */
  name: string
  /** Key in the lock. */
  image: string
  /** `family release`, as inspect says it. */
  system: string
  /** A part of the evidence that inspect shows. */
  evidence: RegExp
  volume: string
  /** What mtools must find on the FAT of a baked card. */
  files: readonly string[]
  /** cmdline.txt of the baked card. */
  cmdline: RegExp
  /** Where it lies; default: cmdline.txt. */
  cmdlinePath?: string
  /** Debian: the kernel parameters that outlast a new kernel. */
  kept?: string
  model?: string
  clusterhat?: string
  /** Lines of `piimage plan` that warn. */
  warns?: RegExp
}

export interface FamilyProject {
  folder: string
  file(name: string): string
  /** Pins stock.img as it is now. */
  lock(): void
  piimage(...args: string[]): Promise<Said>
}

export const PASSWORD_HASH =
  '$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1'
export const PSK = 'f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e'

const fixtureTools: [string, string][] = [
  ['mkfs.fat', 'dosfstools'],
  ['mcopy', 'mtools'],
  ['mke2fs', 'e2fsprogs'],
  ['sfdisk', 'fdisk'],
]

/** One image, or undefined after the test was skipped. */
export function makeImage(t: TestContext, family: string, path: string): string | undefined {
  for (const [tool, name] of fixtureTools) if (needTool(t, tool, name) === undefined) return undefined
  const made = run('bash', [join(packageRoot(), 'test/fixtures/families.gen.sh'), family, path])
  assert.equal(made.status, 0, made.stderr)
  return path
}

const clusterFile = ({ name, image, model = 'pi4', clusterhat }: Family): string => `cluster: sgc
image: ${image}
user:
  name: ops
  passwordHash: '${PASSWORD_HASH}'
  sshKeys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe test@piimage
locale: { timezone: Europe/Berlin, keymap: de, locale: de_DE.UTF-8 }
wifi: { ssid: Cheyenne Mountain, psk: ${PSK}, country: US }
${clusterhat === undefined ? `network: { cidr: 192.168.2.0/24, gateway: 192.168.2.1, dns: [192.168.2.1], domain: sgc.lan }` : `network: { cidr: 172.19.181.0/24, domain: sgc.lan }`}
overlays: [ssh, cgroups]
nodes:
  oneil: { model: ${model}, ${clusterhat === undefined ? 'address: 192.168.2.11/24' : `clusterhat: ${clusterhat}`} } # ${name}
`

/**
 * @param adapt changes the image before it is locked
 * @returns undefined after the test was skipped
 */
export function familyProject(
  t: TestContext,
  family: Family,
  adapt: (image: string) => void = () => {},
): FamilyProject | undefined {
  const folder = tempFolder(t)
  const file = (name: string) => join(folder, name)
  const stock = makeImage(t, family.name, file('stock.img'))
  if (stock === undefined) return undefined
  adapt(stock)
  const lock = () => {
    const bytes = readFileSync(stock)
    const [, os, release, arch, variant, version] =
      /^([a-z]+)-([a-z0-9]+)-(armhf|arm64)-([a-z]+)@(.+)$/.exec(family.image) ?? []
    assert.ok(version, family.image)
    const entry = {
      ...{ os, release, arch, variant, version },
      url: 'file:stock.img',
      format: 'img',
      download: {
        size: bytes.length,
        sha256: createHash('sha256').update(bytes).digest('hex'),
        source: { kind: 'computed', checked: '2026-11-20' },
      },
      extracted: null,
    }
    writeFileSync(
      file('images.lock.json'),
      JSON.stringify({ lockfileVersion: 1, images: { [family.image]: entry } }),
    )
  }
  lock()
  writeFileSync(file('cluster.yaml'), clusterFile(family), { mode: 0o600 })
  const key = createHash('sha256').update('test').digest('hex')
  writeFileSync(file('cluster.key'), `${key}\n`, { mode: 0o600 })
  t.after(() => rmSync(file('cache'), { recursive: true, force: true }))
  return {
    folder,
    file,
    lock,
    piimage: (...args) => runPiimage(folder, [...args, '--cache', file('cache')]),
  }
}
