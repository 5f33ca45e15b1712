import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type CmdlineEdit,
  editCmdline,
  formatCmdline,
  parseCmdline,
  withBootScript,
  withInstanceId,
  withoutTrigger,
} from '../../src/boot/cmdline-txt.ts'
import { FormatError, UsageError } from '../../src/errors.ts'

const cases: { name: string; before: string; edit: CmdlineEdit; after: string }[] = [
  { name: 'adds at the end', before: 'root=x quiet', edit: { add: ['a=1'] }, after: 'root=x quiet a=1' },
  {
    name: 'a flag that stands first is there',
    before: 'quiet root=x',
    edit: { add: ['quiet'] },
    after: 'quiet root=x',
  },
  // The line of an old 64-bit image starts with a sign.
  {
    name: 'line starting with +',
    before: '+dwc_otg.lpm_enable=0 root=x',
    edit: { add: ['a'] },
    after: '+dwc_otg.lpm_enable=0 root=x a',
  },
  { name: 'leading space', before: '  root=x', edit: { add: ['a'] }, after: 'root=x a' },
  {
    name: 'a longer value is another token',
    before: 'root=x cgroup_memory=1.5',
    edit: { add: ['cgroup_memory=1'] },
    after: 'root=x cgroup_memory=1.5 cgroup_memory=1',
  },
  { name: 'carriage return', before: 'root=x quiet\r\n', edit: { add: ['a'] }, after: 'root=x quiet a' },
  {
    name: 'further lines never reached the kernel',
    before: 'root=x\nsecond line',
    edit: { add: ['a'] },
    after: 'root=x a',
  },
  { name: 'NULs and tabs', before: 'root=x\tquiet\0\n', edit: {}, after: 'root=x quiet' },
  {
    name: 'several values of one key',
    before: 'root=x cgroup_enable=cpuset',
    edit: { add: ['cgroup_enable=memory'] },
    after: 'root=x cgroup_enable=cpuset cgroup_enable=memory',
  },
  {
    name: 'set replaces in place, once',
    before: 'a=1 root=x a=2 b',
    edit: { set: { a: '3' } },
    after: 'a=3 root=x b',
  },
  { name: 'set of a new key', before: 'root=x', edit: { set: { a: '3' } }, after: 'root=x a=3' },
  {
    name: 'set does not touch a longer key',
    before: 'root=x rootwait=5',
    edit: { set: { root: 'y' } },
    after: 'root=y rootwait=5',
  },
  {
    name: 'removes the exact token',
    before: 'root=x a=1 a=12',
    edit: { remove: ['a=1'] },
    after: 'root=x a=12',
  },
  {
    name: 'removes all of a key',
    before: 'root=x a=1 b a=12 a',
    edit: { remove: ['a=*'] },
    after: 'root=x b',
  },
  {
    name: 'quotes keep blanks together',
    before: 'root=x init=/bin/bash -c "mount -t proc proc /proc; b"',
    edit: { add: ['a'] },
    after: 'root=x init=/bin/bash -c "mount -t proc proc /proc; b" a',
  },
  {
    name: 'a quoted value may be added',
    before: 'root=x',
    edit: { add: ['dyndbg="file a.c +p"'] },
    after: 'root=x dyndbg="file a.c +p"',
  },
]
for (const { name, before, edit, after } of cases) {
  test(`editCmdline: ${name}`, () => {
    const line = formatCmdline(editCmdline(parseCmdline(before), edit))
    assert.equal(line, `${after}\n`)
    assert.equal(formatCmdline(editCmdline(parseCmdline(line), edit)), line, 'a second run changes nothing')
  })
}

const refused = [
  '',
  'a b',
  'a\nb',
  'a\tb',
  'a\0',
  'a"b',
  '"a" "b"',
  'ä',
  'a\u2028b',
  'resize_foo=1',
  'a\r',
  '\u001b[2J',
]
for (const token of refused) {
  test(`editCmdline refuses ${JSON.stringify(token)}`, () => {
    assert.throws(() => editCmdline(['root=x'], { add: [token] }), UsageError)
  })
}

test('values of set are refused like tokens', () => {
  assert.throws(() => editCmdline(['root=x'], { set: { a: '1 init=/bin/sh' } }), UsageError)
})

test('a quote that is never closed is a damaged file', () => {
  assert.throws(() => parseCmdline('root=x "a b'), FormatError)
})

test('formatCmdline refuses a line without root=, and one that is too long', () => {
  assert.throws(() => formatCmdline(['quiet', 'xroot=1']), /no root=/)
  assert.throws(() => formatCmdline(['root=x', 'a'.repeat(1018)]), /1025 bytes; 1024/)
  assert.equal(formatCmdline(['root=x', 'a'.repeat(1017)]).length, 1025)
})

test('the boot script goes last, and comes out without a trace', () => {
  const stock = parseCmdline('root=x systemd.mount-extra=a systemd.unit=rescue.target quiet')
  const armed = withBootScript(stock, '/boot/piimage/install.sh')
  assert.deepEqual(armed.slice(0, 4), stock)
  assert.equal(armed[4], 'systemd.run=/boot/piimage/install.sh')
  assert.equal(armed.at(-1), 'systemd.unit=kernel-command-line.target')
  assert.deepEqual(withBootScript(armed, '/boot/piimage/install.sh'), armed)
  assert.deepEqual(withoutTrigger(armed), stock)
})

test('the instance id replaces the one before, and only ours comes out', () => {
  const once = withInstanceId(['root=x'], 'piimage-a-1')
  assert.deepEqual(withInstanceId(once, 'piimage-a-2'), ['root=x', 'ds=nocloud;i=piimage-a-2'])
  assert.deepEqual(withoutTrigger([...once, 'ds=ec2']), ['root=x', 'ds=ec2'])
})

test('any tokens survive a round trip', () => {
  const token = fc.stringMatching(/^[!#-~]{1,20}$/)
  fc.assert(
    fc.property(fc.array(token, { maxLength: 20 }), (tokens) => {
      const all = ['root=x', ...tokens]
      assert.deepEqual(parseCmdline(formatCmdline(all)), all)
    }),
  )
})
