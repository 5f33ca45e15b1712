/** The main job on the demo image: what `flash` writes, judged by tools that are not ours. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { attachLoop } from '../support/loop.ts'
import { cutOut, DEMO_LAYOUT, demoProject, unpackDemo } from '../support/project.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const SECTOR = 512

/** Numbers of the sectors in which two equally long images differ. */
function differingSectors(a: Buffer, b: Buffer): number[] {
  const sectors: number[] = []
  for (let at = 0; at < a.length; at += SECTOR) {
    if (a.compare(b, at, at + SECTOR, at, at + SECTOR) !== 0) sectors.push(at / SECTOR)
  }
  return sectors
}

/** 1 KiB blocks of the demo's ext4 that its file system calls free, by dumpe2fs. */
function freeBlocks(ext4: string): Set<number> {
  const { stdout } = run('dumpe2fs', [ext4])
  const free = new Set<number>()
  for (const [, list] of stdout.matchAll(/^ {2}Free blocks: (.*)$/gm)) {
    for (const range of (list as string).split(', ').filter((word) => word !== '')) {
      const [first, last = first] = range.split('-').map(Number) as [number, number?]
      for (let block = first; block <= last; block += 1) free.add(block)
    }
  }
  return free
}

test('three nodes to files: file systems clean, cards as planned', async (t) => {
  const [fsck, e2fsck] = [needTool(t, 'fsck.fat', 'dosfstools'), needTool(t, 'e2fsck', 'e2fsprogs')]
  if (fsck === undefined || e2fsck === undefined) return
  const project = demoProject(t)
  const nodes = ['hammond', 'oneil', 'carter']
  const flashed = await project.piimage(
    'flash',
    ...nodes.flatMap((node) => ['--node', `${node}=${node}.img`]),
  )
  assert.equal(flashed.status, 0, flashed.stderr)
  for (const node of nodes) {
    const card = readFileSync(project.file(`${node}.img`))
    const fat = run(fsck, ['-n', cutOut(card, DEMO_LAYOUT.boot, project.file('fat'))])
    assert.equal(fat.status, 0, fat.stdout)
    const ext4 = run(e2fsck, ['-fn', cutOut(card, DEMO_LAYOUT.root, project.file('ext4'))])
    assert.equal(ext4.status, 0, ext4.stdout)
    const inspected = await project.piimage('inspect', `${node}.img`, '--check')
    assert.equal(inspected.status, 0, inspected.stderr)
    assert.match(inspected.stdout, new RegExp(`node: ${node} of cluster demo`))
  }
  assert.deepEqual(
    readdirSync(project.folder).filter((name) => name.endsWith('.part')),
    [],
  )
})

test('on a used card, every byte equals the image but for the changes and what the file systems call free', async (t) => {
  if (!needRoot(t) || needTool(t, 'dumpe2fs', 'e2fsprogs') === undefined) return
  const project = demoProject(t)
  const stock = unpackDemo(project)
  // An old card: its free blocks hold something, and it is larger than the image.
  writeFileSync(project.file('card'), Buffer.alloc(DEMO_LAYOUT.length + 4 * 1024 * 1024, 0xa5))
  const loop = attachLoop(t, project.file('card'))
  const plan = await project.piimage('plan', '--node', 'oneil', '--json')
  const flashed = await project.piimage('flash', '--node', `oneil=${loop}`, '--yes')
  assert.equal(flashed.status, 0, flashed.stderr)
  assert.equal((await project.piimage('inspect', loop, '--check')).status, 0)

  const card = readFileSync(project.file('card'))
  const free = freeBlocks(cutOut(stock, DEMO_LAYOUT.root, project.file('ext4')))
  assert.ok(free.size > 1000, 'the demo image has free blocks')
  const outside: number[] = []
  let kept = 0
  for (const sector of differingSectors(stock, card.subarray(0, stock.length))) {
    const offset = sector * SECTOR
    const inRoot = offset - DEMO_LAYOUT.root.offset
    if (inRoot >= 0 && free.has(Math.floor(inRoot / 1024))) kept += 1
    else if (offset < DEMO_LAYOUT.boot.offset || inRoot >= 0) outside.push(sector)
  }
  assert.deepEqual(outside, [], 'sectors outside the boot partition that differ and are not free')
  assert.ok(kept > 0, 'free blocks were skipped')

  // Inside the boot partition: the old bytes stay in free clusters; all that the plan did not touch is as published.
  const [planned] = plan.events.filter(({ event }) => event === 'plan') as unknown as {
    sectorsChanged: number
  }[]
  const boot = DEMO_LAYOUT.boot
  const written = differingSectors(
    stock.subarray(boot.offset, boot.offset + boot.length),
    card.subarray(boot.offset, boot.offset + boot.length),
  ).filter((sector) => card[boot.offset + sector * SECTOR] !== 0xa5)
  assert.ok(written.length <= (planned?.sectorsChanged ?? 0), `${written.length} sectors differ`)
})

test('plan names exactly the files that flash then changes', async (t) => {
  const mcopy = needTool(t, 'mcopy', 'mtools')
  if (mcopy === undefined) return
  const project = demoProject(t)
  const stock = unpackDemo(project)
  const plan = await project.piimage('plan', '--node', 'oneil', '--json')
  assert.equal((await project.piimage('flash', '--node', 'oneil=oneil.img')).status, 0)

  const contents = (image: Buffer, name: string): Map<string, string> => {
    const fat = cutOut(image, DEMO_LAYOUT.boot, project.file(`${name}.fat`))
    run('mkdir', [project.file(name)])
    const copied = run(mcopy, ['-s', '-n', '-i', fat, '::*', project.file(name)])
    assert.equal(copied.status, 0, copied.stderr)
    const files = readdirSync(project.file(name), { recursive: true, withFileTypes: true })
    return new Map(
      files
        .filter((entry) => entry.isFile())
        .map((entry) => {
          const path = `${entry.parentPath ?? entry.path}/${entry.name}`
          return [path.slice(project.file(name).length + 1), readFileSync(path, 'latin1')]
        }),
    )
  }
  const before = contents(stock, 'before')
  const after = contents(readFileSync(project.file('oneil.img')), 'after')
  const changed = [...new Set([...before.keys(), ...after.keys()])].filter(
    (path) => before.get(path) !== after.get(path),
  )
  const event = plan.events.find((line) => line.event === 'plan') as unknown as { files: { path: string }[] }
  assert.deepEqual(changed.sort(), event.files.map(({ path }) => path).sort())
  // And line by line: what the diff adds to cmdline.txt is what is on the card.
  const shown = await project.piimage('plan', '--node', 'oneil')
  const line = /^\+(console=.*)$/m.exec(shown.stdout)?.[1]
  assert.equal(after.get('cmdline.txt'), `${line}\n`)
})

test('the same node twice is the same card; two nodes differ in a few sectors of the boot partition', async (t) => {
  const project = demoProject(t)
  for (const [node, name] of [
    ['oneil', 'a'],
    ['oneil', 'b'],
    ['carter', 'c'],
  ]) {
    const said = await project.piimage('flash', '--node', `${node}=${name}.img`)
    assert.equal(said.status, 0, said.stderr)
  }
  const [a, b, c] = ['a', 'b', 'c'].map((name) => readFileSync(project.file(`${name}.img`))) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  assert.ok(a.equals(b))
  const differing = differingSectors(a, c)
  const { offset, length } = DEMO_LAYOUT.boot
  assert.ok(differing.length > 0 && differing.length <= 32, `${differing.length} sectors differ`)
  for (const sector of differing) {
    assert.ok(
      sector * SECTOR >= offset && sector * SECTOR < offset + length,
      `sector ${sector} is in the boot partition`,
    )
  }
})

test('bake: the same bytes as a flashed file, twice the same, in every format', async (t) => {
  if (needTool(t, 'xz', 'xz-utils') === undefined || needTool(t, 'zstd', 'zstd') === undefined) return
  if (needTool(t, 'sha256sum', 'coreutils') === undefined) return
  const project = demoProject(t)
  const digests = new Set<unknown>()
  for (const format of ['img', 'xz', 'zst']) {
    const results: unknown[] = []
    for (const folder of ['one', 'two']) {
      const said = await project.piimage(
        'bake',
        '--node',
        'oneil',
        '-o',
        project.file(`${format}-${folder}`),
        '--format',
        format,
        '--json',
      )
      assert.equal(said.status, 0, said.stderr)
      const baked = said.events.find(({ event }) => event === 'baked') as Record<string, unknown>
      results.push(baked.sha256)
      digests.add(baked.extractedSha256)
      const checked = run('sha256sum', ['-c', `oneil.img${format === 'img' ? '' : `.${format}`}.sha256`], {
        cwd: project.file(`${format}-${folder}`),
      })
      assert.equal(checked.status, 0, checked.stdout)
    }
    assert.equal(results[0], results[1], `${format} twice`)
  }
  assert.equal(digests.size, 1, 'the image inside is the same in every format')
  const list = JSON.parse(readFileSync(project.file('xz-one/os_list.json'), 'utf8'))
  const required = [
    'name',
    'description',
    'icon',
    'url',
    'extract_size',
    'extract_sha256',
    'image_download_size',
    'release_date',
    'devices',
  ]
  for (const key of required) assert.ok(list.os_list[0][key], key)
})

test('several at once: one failure does not hold the others, and the status says so', async (t) => {
  const project = demoProject(t)
  writeFileSync(project.file('blocked.img'), '')
  const said = await project.piimage(
    'flash',
    '--node',
    'oneil=oneil.img',
    '--node',
    'carter=no-such-folder/carter.img',
    '--json',
  )
  assert.equal(said.status, 6, said.stderr)
  assert.ok(existsSync(project.file('oneil.img')))
  assert.equal(said.events.at(-1)?.event, 'result')
  assert.equal(said.events.at(-1)?.ok, false)
})
