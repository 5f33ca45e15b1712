/** Judged by ssh itself. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Cluster } from '../../src/cluster/node.ts'
import { formatKnownHosts } from '../../src/export/known-hosts.ts'
import { formatSshConfig } from '../../src/export/ssh-config.ts'
import { storyNames } from '../cluster/support.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { made, publicLineOf, story } from './support.ts'

/** What ssh makes of a host name: its settings by lower-case key. */
function resolver(t: TestContext, cluster: Cluster, knownHosts = '~/.ssh/known hosts 100%') {
  const file = join(tempFolder(t), 'config')
  const identityFile = () => '~/.ssh/my key'
  writeFileSync(file, formatSshConfig(cluster, { knownHosts, identityFile }))
  return (host: string): Map<string, string> => {
    const { status, stdout, stderr } = run('ssh', ['-F', file, '-G', host])
    assert.equal(status, 0, stderr)
    const lines = stdout.trim().split('\n')
    return new Map(lines.map((line) => line.split(/ (.*)/s).slice(0, 2) as [string, string]))
  }
}

test('the ClusterHAT: each Zero through the head, the head through nobody', async (t) => {
  if (needTool(t, 'ssh', 'openssh-client') === undefined) return
  const resolve = resolver(t, await story('chappa-ai'))
  const head = resolve('hammond')
  assert.equal(head.get('hostname'), '192.168.42.10')
  assert.equal(head.get('proxyjump'), undefined)
  for (const [index, name] of ['oneil', 'carter', 'tealc', 'danieljackson'].entries())
    for (const alias of [name, `${name}.chappa.ai`]) {
      const settings = resolve(alias)
      const wanted: Record<string, string> = {
        hostname: `172.19.181.${index + 1}`,
        hostkeyalias: name,
        user: 'pi',
        proxyjump: 'hammond',
        stricthostkeychecking: 'true',
        identityfile: '~/.ssh/my key',
      }
      for (const [key, value] of Object.entries(wanted))
        assert.equal(settings.get(key), value, `${alias} ${key}`)
    }
  // Whether -G shows it with its tokens replaced is a matter of the version.
  assert.match(resolve('oneil').get('userknownhostsfile') ?? '', /\/\.ssh\/known hosts 100%%?$/)
  // Somebody else's hosts are left as they are.
  const other = resolve('example.org')
  assert.equal(other.get('proxyjump'), undefined)
  assert.equal(other.get('hostname'), 'example.org')
})

for (const name of storyNames)
  test(`${name}: no node jumps through itself, every jump is a node`, async (t) => {
    if (needTool(t, 'ssh', 'openssh-client') === undefined) return
    const cluster = await story(name)
    const resolve = resolver(t, cluster)
    for (const node of cluster.nodes) {
      const jump = resolve(node.name).get('proxyjump')
      if (jump === undefined) continue
      assert.notEqual(jump, node.name)
      assert.equal(resolve(jump).get('proxyjump'), undefined, `${node.name} through ${jump}`)
    }
  })

test('without the overlay ssh a node has keys of its own, and ssh asks about them', async (t) => {
  if (needTool(t, 'ssh', 'openssh-client') === undefined) return
  const cluster = await made(
    'nodes:\n  a: { model: pi4, overlays: [ssh: false] }\n  b: { model: pi4, address: 10.3.50.2/24, user: { name: me } }\n',
  )
  const resolve = resolver(t, cluster)
  assert.equal(resolve('a').get('hostkeyalias'), undefined)
  assert.equal(resolve('a').get('stricthostkeychecking'), 'ask')
  assert.equal(resolve('b').get('user'), 'me')
  assert.doesNotMatch(formatKnownHosts(cluster, publicLineOf), /^a/m)
})

test('known_hosts: ssh-keygen finds every node by name and by address', async (t) => {
  const keygen = needTool(t, 'ssh-keygen', 'openssh-client')
  if (keygen === undefined) return
  const file = join(tempFolder(t), 'known_hosts')
  const cluster = await story('chappa-ai')
  writeFileSync(file, formatKnownHosts(cluster, publicLineOf, new Map([['tealc', 'tealc.example.org']])))
  const find = (host: string) => run(keygen, ['-F', host, '-f', file]).stdout
  for (const { name } of cluster.nodes)
    for (const host of [name, `${name}.local`])
      assert.match(
        find(host),
        new RegExp(`${publicLineOf(name).split(' ')[1]?.replaceAll('+', '\\+')}`),
        host,
      )
  for (const host of [
    '172.19.181.1',
    '192.168.42.10',
    '172.19.181.254',
    'oneil.chappa.ai',
    'tealc.example.org',
  ])
    assert.notEqual(find(host), '', host)
  assert.equal(find('somebody.else'), '')
  assert.equal(run(keygen, ['-l', '-f', file]).stdout.trim().split('\n').length, cluster.nodes.length)
})
