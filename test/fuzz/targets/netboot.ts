/** What a netboot server is given (archives, kernels), hears from the network, and finds in its own files. */
import assert from 'node:assert/strict'
import { boards } from '../../../src/cluster/boards.ts'
import { readSettings } from '../../../src/firmware/config-txt.ts'
import { faultOfBootMenu } from '../../../src/rehearsal/dhcp/boot-menu.ts'
import { discoverOf } from '../../../src/rehearsal/dhcp/discover.ts'
import { readMachineId, readRepeatedSerial } from '../../../src/rehearsal/dhcp/machine-id.ts'
import { formatDhcpRequest, readDhcpMessage } from '../../../src/rehearsal/dhcp/packet.ts'
import { readInitramfs } from '../../../src/rehearsal/system/initramfs.ts'
import { readKernelImage } from '../../../src/rehearsal/system/kernel-image.ts'
import { faultOfKlibcOption, parseIpParameter, parseNfsRoot } from '../../../src/rehearsal/system/nfsroot.ts'
import { formatAck, formatReadRequest, readTftpPacket } from '../../../src/rehearsal/tftp/packet.ts'
import { readElfMachine } from '../../../src/root/elf.ts'
import { withoutCard } from '../../../src/systems/root/adjust.ts'
import { withOwnName } from '../../../src/systems/root/identity.ts'
import { ArchiveTree } from '../../../src/tree/archive-tree.ts'
import { formatManifest, parseManifest } from '../../../src/tree/manifest-text.ts'
import { readTar } from '../../../src/tree/tar-reader.ts'
import { packedSeeds } from '../seeds.ts'
import type { FuzzTarget } from '../target.ts'

const bytesOf = (...texts: string[]): Uint8Array[] => texts.map((text) => Buffer.from(text))

export const tarTarget: FuzzTarget = {
  name: 'tar',
  kind: 'binary',
  dictionary: [
    'ustar',
    '../',
    '/etc',
    './',
    '\0',
    'GNU.sparse.map=',
    'SCHILY.xattr.',
    'path=',
    'linkpath=',
    'size=',
    '99 ',
    'L',
    'K',
    'x',
    'g',
    '1',
    '2',
    '3',
  ],
  seeds: async () => packedSeeds('.tar'),
  async run(input) {
    await readArchive(withRightSums(input))
    await readArchive(input)
  },
}

async function readArchive(input: Uint8Array): Promise<void> {
  const tree = new ArchiveTree('fuzz.tar')
  let entries = 0
  for await (const found of readTar(once(input), 'fuzz.tar')) {
    entries += 1
    if (entries > 1000) return
    const { entry } = tree.place(found)
    assert.doesNotMatch(`/${entry.path}/`, /\/\.\.?\/|\0/)
    assert.ok(!entry.path.startsWith('/'))
    for await (const _ of found.body) {
      // All of it.
    }
  }
  const text = formatManifest({ entries: tree.entries() })
  assert.equal(formatManifest(parseManifest(text, 'manifest')), text)
}

async function* once(input: Uint8Array): AsyncGenerator<Uint8Array> {
  yield input
}

/** A change that the sum over the header betrays tells little: so each header gets the sum that is right. */
function withRightSums(input: Uint8Array): Uint8Array {
  const bytes = Buffer.from(input)
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    if (bytes.toString('latin1', at + 257, at + 262) !== 'ustar') continue
    bytes.fill(' ', at + 148, at + 156)
    let sum = 0
    for (const byte of bytes.subarray(at, at + 512)) sum += byte
    bytes.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1')
  }
  return bytes
}

export const manifestTarget: FuzzTarget = {
  name: 'manifest',
  kind: 'text',
  dictionary: [
    '\n',
    ' ',
    '\t',
    '../',
    '\\',
    '=',
    'file',
    'directory',
    'symlink',
    '-1',
    '1e999',
    '\\x2f',
    '\\n',
  ],
  async seeds() {
    const tree = new ArchiveTree('seed.tar')
    for (const seed of packedSeeds('gnu.tar'))
      for await (const found of readTar(once(seed), 'seed.tar')) tree.place(found)
    return bytesOf(formatManifest({ entries: tree.entries() }))
  },
  async run(input) {
    const manifest = parseManifest(new TextDecoder().decode(input), 'manifest')
    const text = formatManifest(manifest)
    assert.deepEqual(parseManifest(text, 'manifest'), manifest)
  },
}

export const initramfsTarget: FuzzTarget = {
  name: 'cpio',
  kind: 'binary',
  dictionary: ['070701', '070702', 'TRAILER!!!', 'FFFFFFFF', '-0000001', '00000000', '\u001f\u008b'],
  seeds: async () => packedSeeds('.cpio'),
  async run(input) {
    const { names } = readInitramfs(input)
    assert.ok(names.length <= input.length)
  },
}

export const bootFileTarget: FuzzTarget = {
  name: 'kernels',
  kind: 'binary',
  dictionary: ['MZ', 'PE\0\0', 'ARMd', 'Linux version 6.12.34+rpt-rpi-v8 (', '\u007fELF'],
  async seeds() {
    const image = Buffer.alloc(512)
    image.write('MZ', 0)
    image.writeUInt32LE(0x644d5241, 56)
    image.writeUInt32LE(64, 60)
    image.write('PE\0\0', 64, 'latin1')
    image.writeUInt16LE(2, 70)
    image.write('Linux version 6.12.34+rpt-rpi-v8 (x) #1', 300)
    const zimage = Buffer.alloc(128)
    zimage.writeUInt32LE(0x016f2818, 36)
    zimage.writeUInt32LE(128, 44)
    const elf = Buffer.alloc(64)
    elf.write('\u007fELF\u0002\u0001\u0001', 0, 'latin1')
    elf.writeUInt16LE(183, 18)
    return [image, zimage, elf]
  },
  async run(input) {
    readKernelImage(input)
    readElfMachine(input)
  },
}

export const packetTarget: FuzzTarget = {
  name: 'packets',
  kind: 'binary',
  dictionary: [
    'PXEClient',
    'Raspberry Pi Boot',
    'RPi4',
    'tsize',
    'blksize',
    'octet',
    '\u0063\u0082\u0053\u0063',
  ],
  async seeds() {
    const discover = formatDhcpRequest(discoverOf('pi4', 'dc:a6:32:01:02:03', '11223344', 7))
    return [
      discover,
      Buffer.concat([discover, Buffer.from('2b2006010300', 'hex'), Buffer.from('Raspberry Pi Boot')]),
      formatReadRequest('11223344/start4.elf', 1024),
      formatAck(7),
      Buffer.from('\0\u0006tsize\x00123\0blksize\x001024\0', 'latin1'),
      Buffer.from('\0\u0005\0\u0001file not found\0', 'latin1'),
    ]
  },
  async run(input) {
    for (const read of [readTftpPacket, readDhcpMessage]) {
      try {
        read(input)
      } catch (error) {
        if (!isRefusal(error)) throw error
      }
    }
    readMachineId(input)
    readRepeatedSerial(input)
    faultOfBootMenu(input)
  },
}

const isRefusal = (error: unknown): boolean => error instanceof Error && error.name === 'FormatError'

export const netbootTextTarget: FuzzTarget = {
  name: 'netboot-texts',
  kind: 'text',
  dictionary: [
    'nfsroot=',
    'ip=',
    ':',
    ',',
    'vers=3',
    'tcp',
    '%s',
    'off',
    'eth0',
    '[all]',
    '[pi4]',
    '[board-type=',
    '0x',
    'initramfs ',
    'include ',
    'PARTUUID=',
    ' / ',
    '/boot/firmware',
    'defaults',
    '127.0.1.1',
    '\n',
  ],
  seeds: async () =>
    bytesOf(
      '10.3.50.1:/srv/piimage/nodes/node01/root,vers=3,tcp,hard',
      '10.3.50.11:10.3.50.1:10.3.50.1:255.255.255.0:node01:eth0:off',
      '[pi4]\narm_64bit=1\n[all]\ninitramfs initramfs8 followkernel\ninclude more.txt\n',
      'proc /proc proc defaults 0 0\nPARTUUID=7a3f1c55-02 / ext4 defaults,noatime 0 1\n127.0.1.1 raspberrypi\n',
    ),
  async run(input) {
    const text = new TextDecoder().decode(input)
    const { options } = parseNfsRoot(text, '10.0.0.1')
    for (const option of options) faultOfKlibcOption(option)
    parseIpParameter(text)
    // A file that includes itself ends, too.
    const settings = await readSettings(text, boards.pi4, { serial: '11223344' }, async () =>
      text.slice(0, 400),
    )
    settings.all('dtoverlay')
    assert.equal(withoutCard(withoutCard(text)), withoutCard(text))
    withOwnName(text, { name: 'node01', domain: 'lan' })
  },
}
