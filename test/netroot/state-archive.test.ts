/** A node's own files over a shared root, as the archive that its initramfs unpacks. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { stateArchive } from '../../src/netroot/shared/state.ts'
import { tempFolder } from '../support/temp.ts'

/** Linux, "initramfs buffer format": name → mode and device. */
function headersOf(archive: Buffer): Record<string, { mode: string; device: [number, number] }> {
  const headers: ReturnType<typeof headersOf> = {}
  for (let at = 0; at < archive.length; ) {
    assert.equal(archive.toString('latin1', at, at + 6), '070701')
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16)
    const name = archive.toString('utf8', at + 110, at + 110 + field(11) - 1)
    headers[name] = { mode: field(1).toString(8), device: [field(9), field(10)] }
    const content = Math.ceil((at + 110 + field(11)) / 4) * 4
    at = Math.ceil((content + field(6)) / 4) * 4
  }
  return headers
}

test('a removed file is a whiteout: a character device 0:0 with no rights at all', (t) => {
  const lower = tempFolder(t)
  mkdirSync(join(lower, 'etc'), { mode: 0o755 })
  writeFileSync(join(lower, 'etc/gone'), '')
  const headers = headersOf(
    stateArchive(
      lower,
      [
        { kind: 'remove', path: '/etc/gone' },
        { kind: 'remove', path: '/etc/never' },
        { kind: 'file', path: '/etc/möbel', mode: 0o600, content: Buffer.from('x') },
        { kind: 'link', path: '/etc/link', target: 'gone' },
      ],
      new Date(0),
    ),
  )
  assert.deepEqual(headers['etc/gone'], { mode: '20000', device: [0, 0] })
  assert.equal(headers['etc/never'], undefined, 'the root has no such file')
  assert.equal(headers['etc/möbel']?.mode, '100600')
  assert.equal(headers['etc/link']?.mode, '120777')
  assert.equal(headers.etc?.mode, '40755', 'as the root has it')
})
