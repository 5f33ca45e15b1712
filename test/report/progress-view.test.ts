import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Progress } from '../../src/progress.ts'
import { formatDuration, plainProgress, terminalProgress } from '../../src/report/progress-view.ts'

const writing = (bytes: number, node?: string): Progress => ({
  phase: 'write',
  subject: '/dev/sda',
  bytes,
  totalBytes: 100_000_000,
  ...(node === undefined ? {} : { node }),
})

const screen = () => {
  let text = ''
  return { columns: 100, write: (part: string) => (text += part), read: () => text }
}

/** What a terminal shows after this text: enough of ANSI for what we write. */
function shown(text: string): string[] {
  const lines: string[] = ['']
  for (const [part] of text.replaceAll('\x1b', '␛').matchAll(/␛\[(\d+)A|␛\[0J|\n|[^␛\n]+/g)) {
    const up = /␛\[(\d+)A/.exec(part)
    if (up !== null) lines.length = lines.length - Number(up[1])
    else if (part === '\n') lines.push('')
    else if (part.startsWith('␛')) lines[lines.length - 1] = ''
    else lines[lines.length - 1] += part
  }
  return lines.filter((line) => line !== '')
}

test('a terminal shows one line per running step, with rate and time left', () => {
  let now = 0
  const to = screen()
  const view = terminalProgress(to, () => now)
  view.show(writing(0, 'oneil'))
  view.show(writing(0, 'carter'))
  now = 2000
  view.show(writing(50_000_000, 'oneil'))
  assert.deepEqual(shown(to.read()), [
    'writing oneil /dev/sda  ━━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  50.0 MB of 100.0 MB, 25.0 MB/s, 0:02 left',
    'writing carter /dev/sda  ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  0 B of 100.0 MB',
  ])
  now = 4000
  view.show(writing(100_000_000, 'oneil'))
  view.clear()
  assert.deepEqual(shown(to.read()), [
    'writing oneil /dev/sda  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━  100.0 MB of 100.0 MB, 25.0 MB/s, in 0:04',
  ])
})

test('elsewhere: a line after a second, every ten seconds, and at the end', () => {
  let now = 0
  const to = screen()
  const view = plainProgress(to, () => now)
  for (; now <= 25_000; now += 1000) view.show(writing(now * 4000))
  assert.deepEqual(to.read().trimEnd().split('\n'), [
    'writing /dev/sda: 4.0 MB of 100.0 MB, 4.0 MB/s, 0:24 left',
    'writing /dev/sda: 44.0 MB of 100.0 MB, 4.0 MB/s, 0:14 left',
    'writing /dev/sda: 84.0 MB of 100.0 MB, 4.0 MB/s, 0:04 left',
    'writing /dev/sda: 100.0 MB of 100.0 MB, 4.0 MB/s, in 0:25',
  ])
})

for (const [seconds, text] of [
  [0, '0:00'],
  [9.6, '0:10'],
  [75, '1:15'],
  [3675, '1:01:15'],
] as const) {
  test(`${seconds} s is ${text}`, () => assert.equal(formatDuration(seconds), text))
}
