/** Names that a stranger chose, through whole commands: the text that a person gets cannot command the terminal. */
import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { DEMO_LAYOUT, demoProject, runPiimage, unpackDemo } from '../support/project.ts'
import { needTool, run } from '../support/tools.ts'

const NASTY = 'x\x1b]0;owned\x07\x1b[2K\rcarter: all is well\x9b1m\u202e\u200b'

function refuseControls({ stdout, stderr }: { stdout: string; stderr: string }): void {
  const text = `${stdout}${stderr}`
  assert.doesNotMatch(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u, JSON.stringify(text))
  assert.match(text, /\\u00/, 'the name was not shown at all')
}

test('inspect: the label of a volume', async (t) => {
  const project = demoProject(t)
  if (needTool(t, 'tune2fs', 'e2fsprogs') === undefined) return
  writeFileSync(project.file('card.img'), unpackDemo(project))
  const at = `${project.file('card.img')}?offset=${DEMO_LAYOUT.root.offset}`
  const labelled = run('tune2fs', ['-L', '\x1b[2J\x07\rfine', at])
  assert.equal(labelled.status, 0, labelled.stderr)
  const said = await project.piimage('inspect', project.file('card.img'))
  refuseControls(said)
  const json = await project.piimage('inspect', project.file('card.img'), '--json')
  assert.doesNotMatch(json.stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cf}]/u)
})

test('inspect: the name of the image itself, also where it is missing', async (t) => {
  const project = demoProject(t)
  const name = project.file(`${NASTY}.img`)
  writeFileSync(name, unpackDemo(project))
  refuseControls(await project.piimage('inspect', name))
  refuseControls(await project.piimage('inspect', project.file(`missing ${NASTY}.img`)))
})

test('a cluster file and an overlay with such names', async (t) => {
  const project = demoProject(t)
  refuseControls(await project.piimage('plan', '--node', NASTY))
  refuseControls(await runPiimage(project.folder, ['plan', '--cluster', project.file(`${NASTY}.yaml`)]))
  mkdirSync(project.file(`overlays/${NASTY}`), { recursive: true })
  writeFileSync(project.file(`overlays/${NASTY}/overlay.yaml`), 'name: fan\nsummary: x\nedits: []\n')
  refuseControls(await project.piimage('plan'))
})

test('a file of a folder of the command line: its name in a diff and in a list', async (t) => {
  const project = demoProject(t)
  writeFileSync(project.file(NASTY.replaceAll('/', '')), 'text\n')
  refuseControls(
    await project.piimage('plan', '--node', 'oneil', '--file', `${NASTY}=${project.file(NASTY)}`),
  )
})

test('unknown words of the command line', async (t) => {
  const project = demoProject(t)
  for (const args of [
    [NASTY],
    ['plan', `--${NASTY}`],
    ['export', NASTY],
    ['images', NASTY],
    ['bake', '--format', NASTY],
  ])
    refuseControls(await project.piimage(...args))
})
