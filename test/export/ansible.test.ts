/** Judged by ansible-inventory, and by a program in ssh's place that says how it was called. */
import assert from 'node:assert/strict'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Cluster } from '../../src/cluster/node.ts'
import { formatAnsibleInventory } from '../../src/export/ansible.ts'
import { tempFolder } from '../support/temp.ts'
import { needTool, run } from '../support/tools.ts'
import { made, story } from './support.ts'

interface Listed {
  _meta: { hostvars: Record<string, Record<string, string>> }
  [group: string]: { hosts?: string[]; children?: string[] } | unknown
}

function list(
  t: TestContext,
  cluster: Cluster,
  knownHosts = '/home/me/my cluster/known_hosts',
): Listed | undefined {
  const tool = needTool(t, 'ansible-inventory', 'ansible-core')
  if (tool === undefined) return undefined
  const folder = tempFolder(t)
  const file = join(folder, 'inventory.yaml')
  writeFileSync(file, formatAnsibleInventory(cluster, { knownHosts }))
  const { status, stdout, stderr } = run(tool, ['-i', file, '--list'], {
    cwd: folder,
    env: { ANSIBLE_LOCAL_TEMP: folder, HOME: folder, LC_ALL: 'C.UTF-8' },
  })
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stderr, /WARNING|ERROR/, stderr)
  return JSON.parse(stdout) as Listed
}

const hostsOf = (listed: Listed, group: string): string[] | undefined =>
  (listed[group] as { hosts?: string[] } | undefined)?.hosts

test('the ClusterHAT: the groups its playbooks use', async (t) => {
  const listed = list(t, await story('chappa-ai'))
  if (listed === undefined) return
  const zeros = ['oneil', 'carter', 'tealc', 'danieljackson']
  assert.deepEqual((listed.clusterctrl as { children?: string[] }).children, [
    'clusterctrl_server',
    'clusterctrl_nodes',
  ])
  assert.deepEqual(hostsOf(listed, 'clusterctrl_server'), ['hammond'])
  assert.deepEqual(hostsOf(listed, 'clusterctrl_nodes'), zeros)
  assert.deepEqual(hostsOf(listed, 'head'), ['hammond'])
  assert.deepEqual(hostsOf(listed, 'workers'), zeros)
  assert.deepEqual(hostsOf(listed, 'zeros'), zeros)
  assert.deepEqual(hostsOf(listed, 'chappa_ai'), ['hammond', ...zeros])
  const { hammond, oneil } = listed._meta.hostvars
  assert.equal(hammond?.ansible_host, '192.168.42.10')
  assert.equal(oneil?.ansible_host, '172.19.181.1')
  assert.equal(oneil?.ansible_user, 'pi')
  assert.equal(oneil?.ansible_python_interpreter, '/usr/bin/python3')
  assert.doesNotMatch(hammond?.ansible_ssh_common_args ?? '', /Proxy/)
})

test('groups of the cluster file: joined with ours, named as Ansible can', async (t) => {
  const cluster = await made(`join: { kind: none, head: a }
groups: { workers: { model: pi4 }, fast-9: { model: pi4 }, b: { model: pi4 } }
nodes:
  a: { model: pi4, groups: [workers] }
  b: { groups: [fast-9, b], user: { name: me, passwordHash: $6$salt$${'x'.repeat(86)}, sudoPassword: true } }
`)
  const listed = list(t, { ...cluster, name: '3-pis' })
  if (listed === undefined) return
  assert.deepEqual(hostsOf(listed, 'workers')?.toSorted(), ['a', 'b'])
  assert.deepEqual(hostsOf(listed, 'fast_9'), ['b'])
  assert.deepEqual(hostsOf(listed, '_3_pis'), ['a', 'b'])
  assert.equal(listed.b, undefined, 'a host is no group')
  const text = formatAnsibleInventory(cluster, { knownHosts: '/k' })
  assert.match(text, /^# sudo asks for a password on b: ansible-playbook --ask-become-pass$/m)
  assert.doesNotMatch(text, /xxx/)
})

test('a Zero behind a ClusterHAT behind a router: each ssh is told its own host key, to the last word', async (t) => {
  const cluster = await made(`nodes:
  r: { model: pi4, address: 10.3.50.1/24, router: { uplink: eth1, lan: eth0 } }
  h: { model: pi3b+, clusterhat: cnat, interfaces: { eth0: { address: 10.3.50.7/24 } } }
  z: { model: zero2w, clusterhat: p1 }
`)
  const folder = tempFolder(t)
  const knownHosts = `/home/me/it's 100% mine/known_hosts`
  const listed = list(t, cluster, knownHosts)
  if (listed === undefined || needTool(t, 'python3', 'python3') === undefined) return
  const args = listed._meta.hostvars.z?.ansible_ssh_common_args ?? ''
  // As Ansible splits it.
  const split = (text: string): string[] =>
    JSON.parse(
      run('python3', ['-c', 'import shlex,json,sys; print(json.dumps(shlex.split(sys.argv[1])))', text])
        .stdout,
    )
  // As ssh replaces tokens, for a host at this address.
  const expand = (text: string, host: string) =>
    text.replaceAll(/%(.)/g, (_, letter) => (letter === 'h' ? host : letter === 'p' ? '22' : '%'))
  const fake = join(folder, 'ssh')
  writeFileSync(fake, `#!/bin/sh\nfor word; do printf '%s\\n' "$word"; done\n`)
  chmodSync(fake, 0o755)
  const called = (command: string): string[] =>
    run('sh', ['-c', `exec ${command}`], { env: { PATH: `${folder}:${process.env.PATH}` } })
      .stdout.trim()
      .split('\n')

  const checks = (alias: string) => [
    '-o',
    `UserKnownHostsFile=${knownHosts.replace('%', '%%')}`,
    '-o',
    `HostKeyAlias=${alias}`,
    '-o',
    'StrictHostKeyChecking=yes',
  ]
  const toZero = split(args)
  assert.deepEqual(toZero.slice(0, 7), [...checks('z'), '-o'])
  const throughHat = called(expand((toZero[7] ?? '').replace('ProxyCommand=', ''), '172.19.181.1'))
  assert.deepEqual(throughHat.slice(0, 9), ['-W', '172.19.181.1:22', ...checks('h'), '-o'])
  assert.equal(throughHat.at(-1), 'ops@10.3.50.7')
  const throughRouter = called(expand((throughHat[9] ?? '').replace('ProxyCommand=', ''), '10.3.50.7'))
  assert.deepEqual(throughRouter, ['-W', '10.3.50.7:22', ...checks('r'), 'ops@r.local'])
})
