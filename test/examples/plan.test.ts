/** Every example: locked as its comment says, planned, baked and compared. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatKey, parseImageName } from '../../src/catalog/names.ts'
import { readTemplate } from '../../src/commands/support/template.ts'
import { packageRoot } from '../../src/package-root.ts'
import { cutOut, DEMO_LAYOUT } from '../support/project.ts'
import { needTool, run } from '../support/tools.ts'
import { examples, lockStandIns, missingFor, startExample } from './example-project.ts'

const shipped = Object.keys(
  JSON.parse(readFileSync(join(packageRoot(), 'images.lock.json'), 'utf8')).images as object,
)

test('the page about the examples names each, and pins their images as they do themselves', () => {
  const page = readFileSync(join(packageRoot(), 'examples', 'README.md'), 'utf8')
  for (const { name } of examples) {
    assert.ok(page.includes(`(${name}/cluster.yaml)`), name)
    assert.ok(page.includes(`--template ${name} `), name)
    const { fetchCommands, lockCommands } = readTemplate(name)
    // Some have a remark behind them there.
    for (const command of [...fetchCommands, ...lockCommands])
      assert.ok(page.replaceAll(/ {2,}# .*$/gm, '').includes(`\n${command}\n`), command)
  }
})

for (const example of examples) {
  const { name, family } = example

  test(`${name}: each image is in the lock that ships, or a command in the file pins it`, async (t) => {
    const { cluster } = await startExample(t, example)
    assert.deepEqual(cluster.warnings, [])
    const pinned = readTemplate(name).lockCommands.map((command) => {
      const url = command.split(' ').at(-1) ?? ''
      const image = parseImageName(url)
      assert.ok(image, url)
      // 8086 publishes no checksums; without the flag the command would refuse.
      assert.equal(/ --trust-first-use /.test(command), image.os === 'clusterctrl')
      return formatKey(image)
    })
    for (const { image } of cluster.nodes) assert.ok(shipped.includes(image) || pinned.includes(image), image)
  })

  test(`${name}: plan --all, bake, inspect --check`, async (t) => {
    const [fsck, xz] = [needTool(t, 'fsck.fat', 'dosfstools'), needTool(t, 'xz', 'xz-utils')]
    if (fsck === undefined || xz === undefined) return
    const project = await startExample(t, example)
    const { cluster, file, piimage } = project
    const missing = await missingFor(cluster, example)
    if (missing.length > 0) {
      const reason = `not in this piimage: ${missing.join(', ')}`
      if (process.env.PIIMAGE_ALL_TESTS === '1') assert.fail(reason)
      return t.skip(reason)
    }
    await lockStandIns(project, example)

    const planned = await piimage('plan', '--all', '--json')
    assert.equal(planned.status, 0, planned.stderr)
    const plans = planned.events.filter(({ event }) => event === 'plan')
    assert.deepEqual(
      plans.map(({ node }) => node),
      cluster.nodes.map((node) => node.name),
    )
    for (const plan of plans) assert.match(JSON.stringify(plan.os), new RegExp(`"family":"${family}"`))
    const [head] = cluster.nodes
    const shown = await piimage('plan', '--node', head?.name ?? '')
    assert.match(shown.stdout, new RegExp(`\\b${head?.name}\\b`))
    assert.doesNotMatch(shown.stdout, /PRIVATE KEY|eight or more/)

    // The head and the last worker with a card: the two kinds there are.
    const withCard = cluster.nodes.filter(({ boot }) => boot === 'card')
    for (const node of new Set([withCard[0], withCard.at(-1)])) {
      assert.ok(node)
      const baked = await piimage('bake', '--node', node.name, '-o', file('out'))
      assert.equal(baked.status, 0, baked.stderr)
      const path = join(file('out'), `${node.name}.img`)
      const checked = await piimage('inspect', path, '--check')
      assert.equal(checked.status, 0, checked.stderr)
      const fat = cutOut(readFileSync(path), DEMO_LAYOUT.boot, file('boot.fat'))
      assert.equal(run(fsck, ['-n', fat]).status, 0)
    }
  })
}
