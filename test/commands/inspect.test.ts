import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { DEMO_LAYOUT, demoProject, runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'

/** A root file system such as a netboot archive holds. */
function makeTree(folder: string): void {
  for (const path of ['bin', 'boot', 'etc']) mkdirSync(join(folder, 'root', path), { recursive: true })
  writeFileSync(join(folder, 'root/boot/cmdline.txt'), 'root=/dev/nfs\n')
  writeFileSync(join(folder, 'root/etc/hostname'), 'p1\n')
}

function pack(t: TestContext, folder: string, script: string): boolean {
  for (const [tool, name] of [
    ['tar', 'tar'],
    ['xz', 'xz-utils'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return false
  const packed = run('sh', ['-euc', script], { cwd: folder })
  assert.equal(packed.status, 0, packed.stderr)
  return true
}

test('inspect: a netboot archive is said to be one', async (t) => {
  const folder = tempFolder(t)
  makeTree(folder)
  if (!pack(t, folder, 'tar -cJf usbboot.tar.xz -C root --sort=name .')) return
  const said = await runPiimage(folder, ['inspect', join(folder, 'usbboot.tar.xz')])
  assert.equal(said.status, 0, said.stderr)
  assert.match(
    said.stdout,
    /in it a tar archive of a root file system \(\.\/bin\/, \.\/boot\/.*usbboot; for a card take the \.img beside it/,
  )
  const events = await runPiimage(folder, ['inspect', join(folder, 'usbboot.tar.xz'), '--json'])
  assert.ok(JSON.stringify(events.events).includes('"holds":"archive"'))
  const checked = await runPiimage(folder, ['inspect', join(folder, 'usbboot.tar.xz'), '--check'])
  assert.equal(checked.status, 2)
  assert.match(checked.stderr, /there is no card to compare/)
})

test('inspect: other packed files', async (t) => {
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'a'))
  writeFileSync(join(folder, 'a/notes'), 'x')
  const script = `tar -cf - a | xz >notes.tar.xz
    printf 'label: dos\\nstart=2048, type=c\\n' >table; truncate -s 4M disk.img; sfdisk -q disk.img <table; xz -k disk.img
    head -c 5000 /dev/zero | gzip >zeroes.gz`
  if (needTool(t, 'sfdisk', 'fdisk') === undefined || !pack(t, folder, script)) return
  for (const [name, sentence] of [
    ['notes.tar.xz', /in it a tar archive \(a\/, a\/notes …\) and no disk image/],
    ['disk.img.xz', /xz, in it a disk image/],
    ['zeroes.gz', /gz, in it neither a disk image nor a tar archive/],
  ] as const) {
    const said = await runPiimage(folder, ['inspect', join(folder, name)])
    assert.equal(said.status, 0, said.stderr)
    assert.match(said.stdout, sentence)
  }
})

test('inspect: a card of an unknown system says what lies there', async (t) => {
  const folder = tempFolder(t)
  const script = `truncate -s 9M card.img; printf 'label: dos\\nstart=2048, size=16384, type=c\\n' | sfdisk -q card.img
    truncate -s 8M fat; mkfs.fat -n DATA fat >/dev/null; printf x | mcopy -i fat - ::photo.jpg
    dd if=fat of=card.img bs=512 seek=2048 conv=notrunc status=none`
  for (const [tool, name] of [
    ['sfdisk', 'fdisk'],
    ['mkfs.fat', 'dosfstools'],
    ['mcopy', 'mtools'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return
  if (!pack(t, folder, script)) return
  const said = await runPiimage(folder, ['inspect', join(folder, 'card.img')])
  assert.equal(said.status, 0, said.stderr)
  assert.match(said.stdout, /system: no known system lies on this boot partition: it holds photo\.jpg/)
})

test('inspect --check: a customised card holds the files of its plan; one byte of one file more is a difference', async (t) => {
  const mcopy = needTool(t, 'mcopy', 'mtools')
  if (mcopy === undefined) return
  const project = demoProject(t)
  for (const words of [
    ['flash', '--node', 'oneil=card.img'],
    ['customise', 'card.img', '--node', 'carter', '--yes'],
  ]) {
    const said = await project.piimage(...words)
    assert.equal(said.status, 0, said.stderr)
  }
  const checked = await project.piimage('inspect', 'card.img', '--check')
  assert.equal(checked.status, 0, checked.stderr)
  assert.match(checked.stdout, /equal to the plan for carter/)
  const other = await project.piimage('inspect', 'card.img', '--check', '--node', 'oneil')
  assert.equal(other.status, 5, other.stdout)
  assert.match(
    other.stderr,
    /is the card of carter, and differs from the plan for oneil in (?:one place|\d\d* places), .*\n.*--node carter/,
  )

  const volume = `${project.file('card.img')}@@${DEMO_LAYOUT.boot.offset}`
  assert.equal(run(mcopy, ['-o', '-i', volume, '-', '::issue.txt'], { input: 'another\n' }).status, 0)
  const changed = await project.piimage('inspect', 'card.img', '--check')
  assert.equal(changed.status, 5, changed.stdout)
  assert.match(changed.stderr, /card\.img differs from the plan for carter/)
  assert.doesNotMatch(changed.stderr, /1 places/)
  assert.match(
    changed.stderr,
    /Of its boot partition differ: issue\.txt\n.*customise --node carter card\.img$/m,
  )
  const customised = await project.piimage('customise', 'card.img', '--node', 'carter', '--yes')
  assert.equal(customised.status, 0, customised.stderr)
})

test('a card whose writing was interrupted is said to be one, by each command that looks at cards', async (t) => {
  const project = demoProject(t)
  const made = await project.piimage('flash', '--node', 'oneil=card.img')
  assert.equal(made.status, 0, made.stderr)
  assert.match(made.stderr, /card\.img is a card as a file: .*; piimage boot \.\/card\.img starts it/)
  assert.doesNotMatch(made.stderr, /into its board/)
  const card = readFileSync(project.file('card.img'))
  writeFileSync(project.file('card.img'), card.fill(0, 0, 1024 * 1024))
  for (const words of [
    ['inspect', 'card.img'],
    ['customise', 'card.img', '--node', 'oneil', '--yes'],
  ]) {
    const said = await project.piimage(...words)
    assert.notEqual(said.status, 0)
    assert.match(
      said.stderr,
      /the first MiB is blank: .* a write was interrupted\n.*flash it again/,
      words[0],
    )
  }
})

test('plan takes nodes as words, as boot does', async (t) => {
  const project = demoProject(t)
  const byWord = await project.piimage('plan', 'oneil')
  assert.equal(byWord.status, 0, byWord.stderr)
  assert.equal(byWord.stdout, (await project.piimage('plan', '--node', 'oneil')).stdout)
  assert.notEqual(byWord.stdout, (await project.piimage('plan')).stdout)
})
