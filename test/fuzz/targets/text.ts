/** Texts that come from people, publishers and cards. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseUserData } from '../../../src/boot/cloud-init.ts'
import { formatCmdline, parseCmdline } from '../../../src/boot/cmdline-txt.ts'
import { editConfigTxt } from '../../../src/boot/config-txt.ts'
import { parseLock } from '../../../src/catalog/lock.ts'
import { parseImageName, parseKey } from '../../../src/catalog/names.ts'
import { findOsListEntry } from '../../../src/catalog/os-list.ts'
import { parseSidecar } from '../../../src/catalog/sidecar.ts'
import { readSaid } from '../../../src/cluster/feature.ts'
import { compileOverlaySchema, parseOverlay } from '../../../src/customise/overlay.ts'
import { parseReceipt } from '../../../src/customise/receipt.ts'
import { parsePlist } from '../../../src/drives/plist.ts'
import { MistakesError } from '../../../src/errors.ts'
import { readMembership, whyStray } from '../../../src/features/swarm/membership.ts'
import { parseMountinfo, parseSwaps } from '../../../src/io/mountinfo.ts'
import { packageRoot } from '../../../src/package-root.ts'
import { parseAuthorizedKeys } from '../../../src/secrets/authorized-keys.ts'
import { parseClusterKey } from '../../../src/secrets/cluster-key.ts'
import { describeSaid } from '../../../src/work/node-status.ts'
import { parse, publicLine } from '../../cluster/support.ts'
import type { FuzzTarget } from '../target.ts'

const textOf = (input: Uint8Array): string => new TextDecoder().decode(input)
const bytesOf = (...texts: string[]): Uint8Array[] => texts.map((text) => Buffer.from(text))
const filesOf = (folder: string, pattern: RegExp): Uint8Array[] =>
  readdirSync(join(packageRoot(), folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name))
    .sort()
    .map((name) => readFileSync(join(packageRoot(), folder, name)))

const JSON_WORDS = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ':',
  ',',
  'null',
  '1e999',
  '-0',
  '__proto__',
  '\\u0000',
  '\\ud800',
  '{}',
  '[]',
  '""',
]
const YAML_WORDS = [
  '&a',
  '*a',
  '<<: ',
  '- ',
  ': ',
  '\n',
  '  ',
  '? ',
  '|',
  '>',
  '!!',
  '#',
  '{',
  '}',
  '[',
  ']',
  '"',
  "'",
  '~',
  '---\n',
  '%',
  '\ufeff',
  '__proto__',
  '1e999',
  '0x',
  '\t',
]

export const clusterTarget: FuzzTarget = {
  name: 'cluster-file',
  kind: 'text',
  dictionary: [
    ...YAML_WORDS,
    'nodes',
    'groups',
    'network',
    'cidr',
    '/33',
    '0.0.0.0/0',
    '255.255.255.255',
    'join',
    'netroot',
    'router',
    'clusterhat',
    'p1',
    'p252',
    'cnat',
    'boot: net',
    'zero',
    '..',
    '../',
    '-rf',
    '$(id)',
  ],
  seeds: async () => filesOf('examples', /cluster\.yaml$/),
  async run(input) {
    const { cluster, mistakes } = await parse(textOf(input))
    assert.equal(cluster === undefined, mistakes.length > 0)
    if (mistakes.length > 0) throw new MistakesError(mistakes)
  },
}

export const overlayTarget: FuzzTarget = {
  name: 'overlay',
  kind: 'text',
  dictionary: [
    ...YAML_WORDS,
    'edits',
    'parameters',
    'file',
    'cmdline',
    'config',
    'cloud-init',
    'firstboot',
    'copy',
    'materials',
    '../',
    '${',
    'pattern',
    '(a+)+$',
    '$ref',
    '#/',
  ],
  // Under one name, as the folder it is read from has one.
  seeds: async () =>
    filesOf('overlays', /overlay\.yaml$/).map((bytes) =>
      Buffer.from(textOf(bytes).replace(/^name: .*$/m, 'name: ssh')),
    ),
  async run(input) {
    schema ??= compileOverlaySchema()
    const place = { file: 'overlay.yaml', folder: '/o/name', name: 'ssh' }
    const read = parseOverlay(textOf(input), place, await schema)
    if (Array.isArray(read)) throw new MistakesError(read)
  },
}
let schema: ReturnType<typeof compileOverlaySchema> | undefined

export const lockTarget: FuzzTarget = {
  name: 'lock',
  kind: 'text',
  dictionary: [
    ...JSON_WORDS,
    'images',
    'download',
    'extracted',
    'sha256',
    'size',
    'url',
    'file:',
    'http:',
    'https:',
    '..',
    '../',
    'member',
    'parts',
    'lockfileVersion',
  ],
  seeds: async () => {
    const whole = JSON.parse(readFileSync(join(packageRoot(), 'images.lock.json'), 'utf8'))
    const few = Object.fromEntries(Object.entries(whole.images).slice(0, 3))
    return bytesOf(JSON.stringify({ ...whole, images: few }, null, 2))
  },
  async run(input) {
    const { images } = await parseLock(textOf(input), 'images.lock.json')
    for (const key of images.keys())
      assert.doesNotMatch(key, /[/\\\0\n]|^\.\.?$/, 'a key that is not a file name')
  },
}

export const catalogueTarget: FuzzTarget = {
  name: 'catalogue',
  kind: 'text',
  dictionary: [
    ...JSON_WORDS,
    'os_list',
    'subitems',
    'subitems_url',
    'url',
    'https://pi.test/a.img.xz',
    'extract_size',
    'extract_sha256',
    'image_download_size',
    'image_download_sha256',
  ],
  seeds: async () =>
    bytesOf(JSON.stringify(catalogue), JSON.stringify({ os_list: [{ subitems: catalogue.os_list }] })),
  async run(input) {
    let requests = 0
    const answer = async () => {
      requests += 1
      if (requests > 100) throw new Error('more than 100 requests')
      return input
    }
    const nothing = () => Promise.reject(new Error('asked for more than a list'))
    await findOsListEntry(
      { read: answer, head: nothing, file: nothing },
      'https://pi.test/list.json',
      image.url,
    )
  },
}
const image = {
  name: 'Raspberry Pi OS Lite',
  url: 'https://pi.test/a.img.xz',
  extract_size: 2_500_001_792,
  extract_sha256: 'a'.repeat(64),
  image_download_size: 500_000_000,
  image_download_sha256: 'b'.repeat(64),
}
const catalogue = {
  os_list: [image, { name: 'more', subitems: [image] }, { subitems_url: 'https://pi.test/more.json' }],
}

export const sidecarTarget: FuzzTarget = {
  name: 'sidecar',
  kind: 'text',
  dictionary: ['  ', ' *', './', '\n', '\r\n', 'pi.img', '0'.repeat(64), 'F'.repeat(64), '\0', '<html>'],
  seeds: async () =>
    bytesOf(`${'a'.repeat(64)}  pi.img\n`, `${'a'.repeat(64)} *./pi.img\r\n${'b'.repeat(64)}  other.img\n`),
  async run(input) {
    assert.match(parseSidecar(input, 'pi.img', 'pi.img.sha256'), /^[0-9a-f]{64}$/)
  },
}

export const nameTarget: FuzzTarget = {
  name: 'image-names',
  kind: 'text',
  dictionary: [
    'raspios',
    'bookworm',
    'arm64',
    'lite',
    'armhf',
    '@',
    '-',
    '.img.xz',
    '.zip',
    'ClusterCTRL',
    'p1',
    'CNAT',
    '..',
    '/',
    '%2e',
    '2025-05-13',
    '?',
    '#',
  ],
  seeds: async () =>
    bytesOf(
      'https://pi.test/2025-05-13-raspios-bookworm-arm64-lite.img.xz',
      'https://pi.test/2025-11-24-1-bookworm-ClusterCTRL-arm64-lite-CBRIDGE.zip',
      'raspios-bookworm-arm64-lite@2025-05-13',
      'https://pi.test/hypriotos-rpi64-v20180429-184538.img.zip',
    ),
  async run(input) {
    const text = textOf(input)
    parseImageName(text)
    parseKey(text)
  },
}

export const cmdlineTarget: FuzzTarget = {
  name: 'cmdline.txt',
  kind: 'text',
  dictionary: ['root=', '"', ' ', '\t', '\n', '\0', 'init=', 'systemd.run=', '=', ',', 'console='],
  seeds: async () =>
    bytesOf(
      'console=serial0,115200 console=tty1 root=PARTUUID=7a3f1c55-02 rootfstype=ext4 fsck.repair=yes rootwait quiet init=/usr/lib/raspberrypi-sys-mods/firstboot\n',
      'dwc_otg.lpm_enable=0 root=/dev/mmcblk0p2 systemd.run="/boot/a b.sh" rootwait',
    ),
  async run(input) {
    const tokens = parseCmdline(textOf(input))
    assert.deepEqual(parseCmdline(formatCmdline(tokens)), tokens)
  },
}

export const configTarget: FuzzTarget = {
  name: 'config.txt',
  kind: 'text',
  dictionary: [
    '[all]',
    '[pi4]',
    '[',
    ']',
    '=',
    '#',
    '\n',
    '\r\n',
    'dtoverlay=',
    'dtparam=',
    'include ',
    'gpu_mem=16',
    'arm_64bit=1',
    '\0',
  ],
  seeds: async () =>
    bytesOf(
      '# For more\n[pi4]\narm_boost=1\n\n[all]\ndtparam=audio=on\ndtoverlay=vc4-kms-v3d\n',
      'gpu_mem=16\n',
    ),
  async run(input) {
    const wanted = [
      { filter: 'all', key: 'gpu_mem', value: '16' },
      { filter: 'pi4', key: 'dtoverlay', value: 'dwc2' },
    ] as unknown as Parameters<typeof editConfigTxt>[1]
    const once = editConfigTxt(textOf(input), wanted)
    assert.equal(editConfigTxt(once, wanted), once, 'an edit made twice is not the edit made once')
  },
}

export const userDataTarget: FuzzTarget = {
  name: 'user-data',
  kind: 'text',
  dictionary: [...YAML_WORDS, '#cloud-config\n', 'runcmd', 'write_files', 'users'],
  seeds: async () =>
    bytesOf(
      '#cloud-config\nhostname: pi\nusers:\n  - name: ops\n    groups: [sudo]\nruncmd:\n  - [sh, -c, "true"]\n',
    ),
  async run(input) {
    parseUserData(textOf(input), 'user-data')
  },
}

export const keyTarget: FuzzTarget = {
  name: 'ssh-keys',
  kind: 'text',
  dictionary: [
    'ssh-ed25519',
    'ssh-rsa',
    'ecdsa-sha2-nistp256',
    'AAAA',
    ' ',
    '\n',
    '#',
    '"',
    'command=',
    '=',
    '\0',
  ],
  seeds: async () => bytesOf(`# mine\n${publicLine}\n`, `command="true",no-pty ${publicLine} a comment\r\n`),
  async run(input) {
    for (const { key } of parseAuthorizedKeys(textOf(input)))
      assert.doesNotMatch(JSON.stringify(key), /\\[nr]|\\u0000/)
  },
}

export const clusterKeyTarget: FuzzTarget = {
  name: 'cluster.key',
  kind: 'text',
  dictionary: ['\n', '#', 'piimage', '0', 'f', '=', ':', '\ufeff'],
  seeds: async () =>
    bytesOf(`# the cluster's key\n${'0123456789abcdef'.repeat(4)}\n`, '0123456789abcdef'.repeat(4)),
  async run(input) {
    parseClusterKey(textOf(input), 'cluster.key')
  },
}

export const cardTextTarget: FuzzTarget = {
  name: 'card-texts',
  kind: 'text',
  dictionary: [
    ...JSON_WORDS,
    'receiptVersion',
    'files',
    'firstboot ',
    'docker ',
    'swarm ',
    '\n',
    '\u001b[2J',
  ],
  seeds: async () =>
    bytesOf(
      '{"receiptVersion":1,"node":"pi","files":[]}',
      'firstboot {"step":"firstboot","state":"done","time":"2025-01-01","detail":""}\ndocker 27.1\nswarm active\n',
    ),
  async run(input) {
    parseReceipt(input)
    const said = readSaid(textOf(input))
    describeSaid(said)
    whyStray(readMembership(said), readMembership(said), 'hammond')
  },
}

export const systemTextTarget: FuzzTarget = {
  name: 'system-texts',
  kind: 'text',
  dictionary: [
    '<dict>',
    '</dict>',
    '<key>',
    '</key>',
    '<string>',
    '<array>',
    '<true/>',
    '<integer>',
    '&amp;',
    '&#x0;',
    '\\040',
    ' - ',
    '/dev/',
    '\n',
  ],
  seeds: async () => [
    ...filesOf('test/drives/fixtures', /\.plist$/),
    ...bytesOf(
      '36 25 0:31 / /mnt/a\\040b rw,nosuid shared:1 - ext4 /dev/sda1 rw\n',
      'Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n',
    ),
  ],
  async run(input) {
    const text = textOf(input)
    parseMountinfo(text)
    parseSwaps(text)
    if (text.startsWith('<')) parsePlist(text)
  },
}
