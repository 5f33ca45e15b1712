// biome-ignore-all lint/suspicious/noTemplateCurlyInString: placeholders of overlay.yaml
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { editKinds } from '../../src/customise/edit-kinds.ts'
import { compileOverlaySchema, parseOverlay, readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { MistakesError, type PiimageError } from '../../src/errors.ts'
import { packageRoot } from '../../src/package-root.ts'
import { tempFolder } from '../support/temp.ts'
import { keys, makeCluster, makeNode, use } from './cluster.ts'
import { formatOverlayDocs } from './overlay-docs.ts'
import { stockBoot } from './stock.ts'

const shipped = join(packageRoot(), 'overlays')

/** A folder with one overlay `x`; `files` beside its overlay.yaml. */
function overlayFolder(t: TestContext, yaml: string, files: Record<string, string> = {}): string {
  const folder = tempFolder(t)
  for (const [path, text] of Object.entries({ 'overlay.yaml': yaml, ...files })) {
    mkdirSync(dirname(join(folder, 'x', path)), { recursive: true })
    writeFileSync(join(folder, 'x', path), text)
  }
  return folder
}

async function planWith(
  folder: string,
  parameters: Record<string, unknown> = {},
  others: string[] = [],
  system = 'trixie',
) {
  const node = makeNode({
    overlays: [...others, 'x'].map((name) => use(name, name === 'x' ? parameters : {})),
  })
  const overlays = await readOverlays([folder, shipped])
  const image = { key: 'k', version: 'v', arch: 'armhf' } as const
  return planBoot({ cluster: makeCluster([node]), node, image, boot: stockBoot(system), overlays, keys })
}

const yaml = (rest: string) => `name: x\nsummary: A test\n${rest}`

const malformed: { name: string; yaml: string; at: string; message: RegExp }[] = [
  { name: 'no YAML', yaml: 'name: [x\n', at: '2:1', message: /./ },
  {
    name: 'another name than its folder',
    yaml: 'name: y\nsummary: s\nedits: []\n',
    at: '1:1',
    message: /named y, its folder x/,
  },
  { name: 'an unknown key', yaml: yaml('edits: []\nedit: []\n'), at: '4:1', message: /no edit here/ },
  { name: 'no edits', yaml: yaml(''), at: '1:1', message: /edits/ },
  {
    name: 'an unknown kind of edit',
    yaml: yaml('edits:\n  - shell: reboot\n'),
    at: '4:5',
    message: /no shell here/,
  },
  {
    name: 'two kinds in one edit',
    yaml: yaml('edits:\n  - cmdline: { add: [a] }\n    config: { lines: { a: 1 } }\n'),
    at: '4:5',
    message: /exactly one of/,
  },
  {
    name: 'an unknown key in an edit',
    yaml: yaml('edits:\n  - cmdline: { append: [a] }\n'),
    at: '4:16',
    message: /no append here/,
  },
  {
    name: 'a script outside the folder',
    yaml: yaml('edits:\n  - firstboot: { phase: early, order: 1, script: ../../a.sh }\n'),
    at: '4:42',
    message: /must be a path inside the overlay's folder/,
  },
  {
    name: 'an absolute source',
    yaml: yaml('edits:\n  - file: { path: a, from: /etc/passwd }\n'),
    at: '4:22',
    message: /must be a path inside/,
  },
  {
    name: 'an order of three digits',
    yaml: yaml('edits:\n  - firstboot: { phase: early, order: 100, script: a.sh }\n'),
    at: '4:32',
    message: /<= 99/,
  },
  {
    name: 'an unknown phase',
    yaml: yaml('edits:\n  - firstboot: { phase: late, order: 10, script: a.sh }\n'),
    at: '4:18',
    message: /early, network/,
  },
  {
    name: 'a user spelled out',
    yaml: yaml('edits:\n  - system: { user: root }\n'),
    at: '4:15',
    message: /must be a placeholder/,
  },
  {
    name: 'a parameter that is no JSON Schema',
    yaml: yaml('parameters:\n  a: { description: d, type: text }\nedits: []\n'),
    at: '3:1',
    message: /a parameter is not valid: /,
  },
  {
    name: 'a parameter without description',
    yaml: yaml('parameters:\n  a: { type: string }\nedits: []\n'),
    at: '4:3',
    message: /description/,
  },
]
for (const { name, yaml: text, at, message } of malformed) {
  test(`readOverlays: ${name}`, async (t) => {
    const folder = overlayFolder(t, text)
    await assert.rejects(readOverlays([folder]), (error: MistakesError) => {
      assert.ok(error instanceof MistakesError, error.stack)
      const [first] = error.mistakes
      assert.match(first?.message ?? '', message)
      assert.equal(`${first?.line}:${first?.column}`, at, first?.message)
      return true
    })
  })
}

const misfits: {
  name: string
  yaml: string
  files?: Record<string, string>
  parameters?: Record<string, unknown>
  others?: string[]
  system?: string
  message: RegExp
}[] = [
  {
    name: 'a path that leads up',
    yaml: yaml('edits: [{ file: { path: "../x", content: "" } }]'),
    message: /without "\.\."/,
  },
  {
    name: 'an absolute path',
    yaml: yaml('edits: [{ file: { path: "/x", content: "" } }]'),
    message: /relative/,
  },
  {
    name: 'a path by a parameter',
    yaml: yaml(
      'parameters: { p: { type: string, description: d } }\nedits: [{ file: { path: "a/${param.p}", content: "" } }]',
    ),
    parameters: { p: '../../x' },
    message: /without "\.\."/,
  },
  {
    name: 'a name FAT does not have',
    yaml: yaml('edits: [{ file: { path: "a?", content: "" } }]'),
    message: /without \\ :/,
  },
  {
    name: 'the command line as a file',
    yaml: yaml('edits: [{ file: { path: CMDLINE.TXT, content: "" } }]'),
    message: /not an overlay's to replace/,
  },
  {
    name: 'the payload as a file',
    yaml: yaml('edits: [{ file: { path: piimage/install.sh, content: "" } }]'),
    message: /not an overlay's to replace/,
  },
  {
    name: 'a relative path on the root file system',
    yaml: yaml('edits: [{ file: { on: root, path: etc/x, content: "" } }]'),
    message: /absolute/,
  },
  {
    name: 'a blank in a path of files.list',
    yaml: yaml('edits: [{ file: { on: root, path: "/etc/a b", content: "" } }]'),
    message: /not one word/,
  },
  {
    name: 'an unknown placeholder',
    yaml: yaml('edits: [{ cmdline: { add: ["a=${node.nam}"] } }]'),
    message: /node\.nam, which does not exist/,
  },
  {
    name: 'a placeholder without end',
    yaml: yaml('edits: [{ cmdline: { add: ["a=${node.name"] } }]'),
    message: /not a placeholder/,
  },
  {
    name: 'a secret as text',
    yaml: yaml('edits: [{ cmdline: { add: ["${node.user}"] } }]'),
    message: /does not exist here/,
  },
  {
    name: 'a parameter nobody declared',
    yaml: yaml('edits: [{ cmdline: { add: ["${param.a}"] } }]'),
    message: /declares no parameter a/,
  },
  {
    name: 'a value this node does not have',
    yaml: yaml('edits: [{ cmdline: { add: ["a=${cluster.head}"] } }]'),
    message: /needs cluster\.head/,
  },
  {
    name: 'quoting that is not named',
    yaml: yaml('edits: [{ file: { path: a, content: "${node.name}" } }]'),
    message: /does not say how the value is quoted/,
  },
  {
    name: 'a list inside text',
    yaml: yaml('edits: [{ cmdline: { add: ["a=${node.groups}"] } }]'),
    message: /list or a mapping/,
  },
  {
    name: 'a kernel parameter with a blank',
    yaml: yaml(
      'parameters: { p: { type: string, description: d } }\nedits: [{ cmdline: { add: ["a=${param.p}"] } }]',
    ),
    parameters: { p: '1 init=/bin/sh' },
    message: /not one kernel parameter/,
  },
  {
    name: 'a second line for config.txt',
    yaml: yaml(
      'parameters: { p: { type: string, description: d } }\nedits: [{ config: { lines: { a: "${param.p}" } } }]',
    ),
    parameters: { p: '1\ngpu_mem=16' },
    message: /line end/,
  },
  {
    name: 'a script that is not there',
    yaml: yaml('edits: [{ firstboot: { phase: early, order: 50, script: a.sh } }]'),
    message: /a\.sh cannot be read/,
  },
  {
    name: 'a script with Windows line ends',
    yaml: yaml('edits: [{ firstboot: { phase: early, order: 50, script: a.sh } }]'),
    files: { 'a.sh': '#!/bin/sh\r\n' },
    message: /Windows line ends/,
  },
  { name: 'a missing companion', yaml: yaml('requires: [ssh]\nedits: []'), message: /needs the overlay ssh/ },
  {
    name: 'a companion it excludes',
    yaml: yaml('conflicts: [ssh]\nedits: []'),
    others: ['ssh'],
    message: /exclude each other/,
  },
  { name: 'a 32-bit image', yaml: yaml('needs: [arm64]\nedits: []'), message: /needs arm64/ },
  {
    name: 'cloud-config without cloud-init',
    yaml: yaml('edits: [{ cloud-init: { merge: { a: 1 } } }]'),
    system: 'bookworm',
    message: /does not run cloud-init/,
  },
  {
    name: 'two overlays that contradict each other',
    yaml: yaml('edits: [{ cloud-init: { merge: { hostname: [a] } } }]'),
    others: ['hostname'],
    message: /hostname is a plain value in one overlay and a list in another/,
  },
  {
    name: 'a parameter that is not declared',
    yaml: yaml('edits: []'),
    parameters: { a: 1 },
    message: /no a here/,
  },
]
for (const { name, yaml: text, files, parameters, others, system, message } of misfits) {
  test(`planBoot refuses ${name}`, async (t) => {
    await assert.rejects(
      planWith(overlayFolder(t, text, files), parameters, others, system),
      (error: PiimageError) => {
        assert.equal(error.exitCode, 2, error.stack)
        assert.match(error.message, message)
        return true
      },
    )
  })
}

test("a cluster's own overlay takes the place of a shipped one", async (t) => {
  const folder = tempFolder(t)
  mkdirSync(join(folder, 'ssh'))
  writeFileSync(join(folder, 'ssh/overlay.yaml'), 'name: ssh\nsummary: Mine\nedits: []\n')
  assert.equal((await readOverlays([folder, shipped])).get('ssh')?.summary, 'Mine')
  assert.ok((await readOverlays([join(folder, 'nothing-here'), shipped])).has('ssh'))
})

test('placeholders: a literal, a whole value, and values that look like placeholders', async (t) => {
  const folder = overlayFolder(
    t,
    yaml(
      'parameters: { p: { type: string, description: d } }\nedits: [{ cloud-init: { merge: { a: "$${node.name} ${param.p}", b: "${os.kernel}" } } }]',
    ),
  )
  const plan = await planWith(folder, { p: '${node.name}' })
  const text = Buffer.from(plan.files.find(({ path }) => path === 'user-data')?.after ?? []).toString()
  assert.match(text, /^a: "\$\{node\.name\} \$\{node\.name\}"$/m)
  assert.match(text, /^b: 6$/m)
})

test('overlays/README.md is what the overlays say', async () => {
  const path = join(shipped, 'README.md')
  const text = formatOverlayDocs(await readOverlays([shipped]))
  if (process.env.UPDATE === '1') {
    writeFileSync(path, text)
    assert.fail(`${path} was written anew`)
  }
  assert.equal(readFileSync(path, 'utf8'), text, `UPDATE=1 rewrites ${path}`)
})

test('the schema lets an overlay have every kind of edit, and no other', () => {
  const schema = JSON.parse(readFileSync(join(packageRoot(), 'schema/overlay.v1.json'), 'utf8'))
  const { properties, oneOf } = schema.definitions.edit
  const kinds = Object.keys(editKinds)
  assert.deepEqual(
    Object.keys(properties).filter((name) => name !== 'when'),
    kinds,
  )
  assert.deepEqual(
    oneOf.map(({ required }: { required: string[] }) => required),
    kinds.map((kind) => [kind]),
  )
})

test('an overlay that was read and let go leaves nothing in memory', async () => {
  const schema = await compileOverlaySchema()
  const text = readFileSync(join(shipped, 'docker/overlay.yaml'), 'utf8')
  const place = { file: 'overlay.yaml', folder: join(shipped, 'docker'), name: 'docker' }
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const heapAfter = (times: number): number => {
    for (let time = 0; time < times; time += 1) parseOverlay(text, place, schema)
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  // What the first few hundred leave is V8's own: it does not grow any more.
  const before = heapAfter(500)
  const kept = (heapAfter(500) - before) / 500
  assert.ok(kept < 1000, `${kept} bytes stay of each`)
})
