/** Whatever comes over the wire or lies in a tree is read, or refused with a reason; nothing hangs or crashes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { FormatError } from '../../src/errors.ts'
import { discoverOf } from '../../src/rehearsal/dhcp/discover.ts'
import { formatDhcpRequest, readDhcpMessage } from '../../src/rehearsal/dhcp/packet.ts'
import { XdrReader } from '../../src/rehearsal/nfs/xdr.ts'
import { readInitramfs } from '../../src/rehearsal/system/initramfs.ts'
import { readKernelImage } from '../../src/rehearsal/system/kernel-image.ts'
import { lengthOfZstdFrame } from '../../src/rehearsal/system/zstd-frame.ts'
import { readTftpPacket } from '../../src/rehearsal/tftp/packet.ts'
import { readElfMachine } from '../../src/root/elf.ts'
import { arm64Kernel, cpio, elf, zImage } from './boot-tree.ts'

const small = arm64Kernel('6.1.0', 100_100)
small.write('MZ', 'latin1')
small.writeUInt32LE(64, 60)
small.write('PE\0\0', 64, 'latin1')

const readers: { name: string; whole: Buffer; read: (bytes: Buffer) => unknown }[] = [
  { name: 'kernel', whole: small, read: readKernelImage },
  { name: 'zImage', whole: zImage('6.1.0'), read: readKernelImage },
  { name: 'packed kernel', whole: gzipSync(small), read: readKernelImage },
  {
    name: 'RAM disk',
    whole: Buffer.concat([cpio(['a', 'b/c']), gzipSync(cpio(['d']))]),
    read: readInitramfs,
  },
  { name: 'zstd frame', whole: Buffer.from('28b52ffd0058190000010203', 'hex'), read: lengthOfZstdFrame },
  { name: 'ELF file', whole: elf(183), read: readElfMachine },
  {
    name: 'DHCP message',
    whole: Buffer.from(formatDhcpRequest(discoverOf('pi4', 'dc:a6:32:01:02:03', '00000001', 1))),
    read: readDhcpMessage,
  },
  { name: 'TFTP packet', whole: Buffer.from('\0\x06tsize\x0012\0blksize\x001024\0'), read: readTftpPacket },
  {
    name: 'RPC answer',
    whole: Buffer.from('00000004746578740000000200010203', 'hex'),
    read: (bytes) => {
      const reader = new XdrReader(bytes)
      return [reader.text(), reader.opaque(), reader.uint32()]
    },
  },
]

const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 })

for (const { name, whole, read } of readers)
  test(`a damaged ${name}`, () => {
    fc.assert(
      fc.property(damage, fc.nat(), fc.boolean(), (changes, cut, isCut) => {
        const bytes = Buffer.from(isCut ? whole.subarray(0, cut % (whole.length + 1)) : whole)
        // Headers are where it matters.
        for (const [at, value] of changes)
          if (bytes.length > 0) bytes[at % Math.min(bytes.length, 300)] = value
        try {
          read(bytes)
        } catch (error) {
          assert.ok(error instanceof FormatError, String(error))
        }
      }),
      { numRuns: 300 },
    )
  })
