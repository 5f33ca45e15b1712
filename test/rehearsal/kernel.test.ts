import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { readInitramfs } from '../../src/rehearsal/system/initramfs.ts'
import { readKernelImage } from '../../src/rehearsal/system/kernel-image.ts'
import { known } from '../support/known.ts'
import { needTool, run } from '../support/tools.ts'
import { arm64Kernel, cpio, zImage } from './boot-tree.ts'

const RELEASE = '6.12.34+rpt-rpi-v8'

/** An Image with an EFI stub: its section table says how long it is. */
function efiKernel(): Buffer {
  const image = arm64Kernel(RELEASE)
  image.write('MZ', 'latin1')
  image.writeUInt32LE(64, 60)
  image.write('PE\0\0', 64, 'latin1')
  image.writeUInt16LE(2, 70)
  image.writeUInt16LE(160, 84)
  image.writeUInt32LE(image.length - 4096, 248 + 40 + 16)
  image.writeUInt32LE(4096, 248 + 40 + 20)
  return image
}

test('kernels say their CPU and release', () => {
  assert.deepEqual(known(readKernelImage(arm64Kernel(RELEASE))), { arch: 'arm64', release: RELEASE })
  assert.deepEqual(known(readKernelImage(gzipSync(arm64Kernel(RELEASE)))), {
    arch: 'arm64',
    release: RELEASE,
  })
  assert.deepEqual(known(readKernelImage(efiKernel())), { arch: 'arm64', release: RELEASE })
  assert.deepEqual(known(readKernelImage(zImage('6.12.34+rpt-rpi-v7'))), {
    arch: 'arm',
    release: '6.12.34+rpt-rpi-v7',
  })
})

test('a kernel that is cut off by one byte', () => {
  for (const whole of [gzipSync(arm64Kernel(RELEASE)), efiKernel(), zImage(RELEASE)])
    assert.notEqual(readKernelImage(whole.subarray(0, -1)).problem, undefined)
  assert.match(readKernelImage(Buffer.alloc(100)).problem ?? '', /header of no ARM kernel/)
  assert.match(readKernelImage(new Uint8Array()).problem ?? '', /0 bytes/)
})

const parts = [
  cpio(['./kernel/x86', 'init']),
  Buffer.alloc(400),
  gzipSync(cpio(['usr/bin/a'])),
  cpio(['etc/late']),
]

test('archives one behind the other', () => {
  assert.deepEqual(readInitramfs(Buffer.concat(parts)), {
    names: ['kernel/x86', 'init', 'usr/bin/a', 'etc/late'],
  })
  assert.match(readInitramfs(Buffer.concat(parts).subarray(0, -200)).problem ?? '', /breaks off/)
  assert.match(readInitramfs(Buffer.from('no archive at all')).problem ?? '', /at byte 0/)
  assert.equal(readInitramfs(Buffer.alloc(0)).problem, 'it is empty')
})

test('a kernel’s packed part with more behind it, and a name before it', (t) => {
  if (needTool(t, 'gzip', 'gzip') === undefined) return
  const named = run('sh', ['-c', 'cd "$(mktemp -d)" && cat > a-name && gzip a-name && base64 a-name.gz'], {
    input: cpio(['init']),
  })
  const member = Buffer.from(named.stdout, 'base64')
  assert.deepEqual(readInitramfs(Buffer.concat([member, cpio(['late'])])), { names: ['init', 'late'] })
  const tail = Buffer.alloc(5000, 0x5a)
  const kernel = Buffer.concat([zImage(RELEASE), tail])
  kernel.writeUInt32LE(kernel.length, 44)
  assert.deepEqual(known(readKernelImage(kernel)), { arch: 'arm', release: RELEASE })
})

test('a part that is packed with zstd, and one behind it', (t) => {
  if (needTool(t, 'zstd', 'zstd') === undefined) return
  const script = 'head -c "$1" | zstd -q -c'
  const names = Array.from({ length: 3000 }, (_, index) => `usr/lib/file-${index}-${(index * 7919) % 10007}`)
  const plain = cpio(names)
  for (const options of ['', '--no-check', '-19', '--no-content-size']) {
    const packed = packWith(`${script} ${options}`, plain)
    const read = readInitramfs(Buffer.concat([packed, cpio(['etc/late'])]))
    assert.deepEqual(read, { names: [...names, 'etc/late'] }, options)
  }
})

function packWith(script: string, bytes: Buffer): Buffer {
  const ran = run('sh', ['-c', `(${script}) | base64`, 'sh', String(bytes.length)], { input: bytes })
  assert.equal(ran.status, 0, ran.stderr)
  return Buffer.from(ran.stdout, 'base64')
}
