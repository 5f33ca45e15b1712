/** Every example: locked as its comment says, planned, baked and compared. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatKey, parseImageName } from '../../src/catalog/names.ts'
import type { Cluster, Node } from '../../src/cluster/node.ts'
import { packageRoot } from '../../src/package-root.ts'
import { readTemplate } from '../../src/work/template.ts'
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
    if (name !== 'basic') assert.ok(page.includes(`--template ${name} `), name)
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
    const [mdir, mtype] = [needTool(t, 'mdir', 'mtools'), needTool(t, 'mtype', 'mtools')]
    if (fsck === undefined || xz === undefined || mdir === undefined || mtype === undefined) return
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

    // Nodes that boot over the net have no card; what they get is the same, and stands in the plan.
    for (const [index, node] of cluster.nodes.entries()) {
      const files = plans[index]?.files as { path: string }[]
      assertJoins(node, cluster, new Set(files.map(({ path }) => path)))
    }
    const baked = await piimage('bake', '--all', '-o', file('out'))
    assert.equal(baked.status, 0, baked.stderr)
    const withCard = cluster.nodes.filter(({ boot }) => boot === 'card')
    assert.ok(withCard.length > 0)
    for (const node of withCard) {
      const path = join(file('out'), `${node.name}.img`)
      const fat = cutOut(readFileSync(path), DEMO_LAYOUT.boot, file('boot.fat'))
      assert.equal(run(fsck, ['-n', fat]).status, 0)
      const listed = run(mdir, ['-/', '-b', '-i', fat, '::/piimage']).stdout.split('\n')
      assertJoins(node, cluster, new Set(listed.map((line) => line.replace(/^::\//, ''))))
      const settings = run(mtype, ['-i', fat, '::/piimage/node.env']).stdout
      assert.match(settings, new RegExp(`^PIIMAGE_ROLE='${node.role}'$`, 'm'))
      const head = cluster.nodes.find(({ role }) => role === 'head')?.interfaces[0]?.address?.ip
      if (cluster.join.kind !== 'none')
        assert.match(
          settings,
          new RegExp(`^PIIMAGE_${cluster.join.kind.toUpperCase()}_HEAD_ADDRESS='${head}'$`, 'm'),
        )
      const checked = await piimage('inspect', path, '--check')
      assert.equal(checked.status, 0, checked.stderr)
    }
  })
}

/** What makes a node one of its cluster, by kind and role: what must be on its card, and what must not. */
const joins: Record<string, Record<'head' | 'worker', { has: string[]; hasNot: string[] }>> = {
  swarm: {
    head: {
      has: ['firstboot.d/50-swarm.sh', 'firstboot.d/95-swarm-gather.sh', 'material/join-authorized-keys'],
      hasNot: ['secrets/join-key'],
    },
    worker: {
      has: ['firstboot.d/50-swarm.sh', 'secrets/join-key', 'material/join-known-hosts'],
      hasNot: ['firstboot.d/95-swarm-gather.sh', 'material/join-authorized-keys'],
    },
  },
  kubeadm: {
    head: {
      has: [
        'firstboot.d/50-kubeadm.sh',
        'secrets/kubeadm-token',
        'secrets/cluster-ca-key',
        'kubeadm/flannel.yml',
      ],
      hasNot: [],
    },
    worker: {
      has: ['firstboot.d/50-kubeadm.sh', 'secrets/kubeadm-token', 'material/cluster-ca-digest'],
      hasNot: ['secrets/cluster-ca-key'],
    },
  },
  k3s: {
    head: {
      has: ['firstboot.d/50-k3s.sh', 'secrets/k3s-token', 'secrets/cluster-ca-key', 'k3s/k3s'],
      hasNot: [],
    },
    worker: {
      has: ['firstboot.d/50-k3s.sh', 'secrets/k3s-agent-token', 'k3s/k3s'],
      hasNot: ['secrets/cluster-ca-key', 'secrets/k3s-token'],
    },
  },
}

function assertJoins(node: Node, { join: { kind } }: Cluster, paths: Set<string>): void {
  if (kind === 'none') return
  const wanted = joins[kind]?.[node.role]
  assert.ok(wanted, `${node.name} is to join by ${kind}`)
  for (const path of wanted.has) assert.ok(paths.has(`piimage/${path}`), `${node.name} lacks ${path}`)
  for (const path of wanted.hasNot) assert.ok(!paths.has(`piimage/${path}`), `${node.name} has ${path}`)
}
