/**
 * A card in HypriotOS's layout becomes its node, by piimage alone: baked from a
 * cluster file, then booted. Slow, see first-boot.test.ts.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { readClusterKey } from '../../src/secrets/cluster-key.ts'
import { nodeKeys } from '../../src/secrets/node-keys.ts'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needTool, run } from '../support/tools.ts'
import { bootCard } from './booted-card.ts'
import { makeHypriotCard } from './hypriot-card.ts'

const address = '172.19.181.1'
const image = 'hypriotos-buster-armhf-rpi@1.12.3'

/** The user-data of somebody who has used HypriotOS for years, in the spelling of cloud-init 0.7.9. */
const oldUserData = (key: string) => `#cloud-config
users:
  - name: pirate
    gecos: "Hypriot Pirate"
    sudo: ALL=(ALL) NOPASSWD:ALL
    shell: /bin/bash
    groups: users,docker,video,input
    plain_text_passwd: hypriot
    lock_passwd: false
    ssh-authorized-keys:
      - ${key}
apt_preserve_sources_list: true
runcmd:
  - 'echo avast >/run/pirate'
`

test('a HypriotOS card becomes its node', async (t) => {
  const fixture = needEnv(t, 'PIIMAGE_FIXTURE_IMAGE', 'no image to boot')
  if (fixture === undefined) return
  for (const [tool, name] of [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['mcopy', 'mtools'],
    ['mkfs.fat', 'dosfstools'],
    ['debugfs', 'e2fsprogs'],
    ['sfdisk', 'fdisk'],
    ['ssh', 'openssh-client'],
  ] as const) {
    if (needTool(t, tool, name) === undefined) return
  }
  const folder = tempFolder(t)
  const at = (name: string) => join(folder, name)
  const stock = makeHypriotCard(fixture, folder)
  const identity = at('id_ed25519')
  assert.equal(run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'ops', '-f', identity]).status, 0)
  const publicKey = readFileSync(`${identity}.pub`, 'utf8').trim()
  const passwordHash = run('openssl', ['passwd', '-6', '-salt', 'saltsalt', 'secret']).stdout.trim()
  writeFileSync(at('cluster.key'), `${'0123456789abcdef'.repeat(4)}\n`, { mode: 0o600 })
  writeFileSync(at('old-user-data'), oldUserData(publicKey))
  const bytes = readFileSync(stock)
  const download = {
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    source: { kind: 'computed', checked: '2026-11-20' },
  }
  const locked = {
    ...{ os: 'hypriotos', release: 'buster', version: '1.12.3', arch: 'arm64', variant: 'rpi' },
    ...{ url: 'file:stock.img', format: 'img', download, extracted: null },
  }
  writeFileSync(at('images.lock.json'), JSON.stringify({ lockfileVersion: 1, images: { [image]: locked } }))
  writeFileSync(
    at('cluster.yaml'),
    `cluster: sgc
image: ${image}
user: { name: ops, passwordHash: '${passwordHash}', sshKeys: ['${publicKey}'] }
locale: { timezone: America/New_York }
network: { cidr: 172.19.181.0/24, gateway: 172.19.181.254, domain: sgc.lan }
overlays: [ssh, cgroups, cloud-init: { file: old-user-data }]
nodes:
  oneil: { model: pi3b, address: ${address}/24 }
`,
    { mode: 0o600 },
  )
  const baked = await runPiimage(folder, ['bake', '--all', '-o', at('out'), '--cache', at('cache')])
  assert.equal(baked.status, 0, baked.stderr)
  const card = at('out/oneil.img')
  const keys = nodeKeys(await readClusterKey(at('cluster.key'))).hostKey('oneil')
  const hostKey = keys.publicLine.split(' ').slice(0, 2).join(' ')

  // A login under strict checking proves the host key, the user's key and the address.
  const node = await bootCard({ card, folder, address, user: 'ops', identity, hostKey })
  try {
    await node.waitForConsole(/piimage: \w+: firstboot done/, 600_000)
    const says = async (command: string) => {
      const ran = await node.ssh(command)
      assert.equal(ran.status, 0, `${command}: ${ran.stderr}`)
      return ran.stdout.trim()
    }
    assert.equal(node.commandLines.length, 1)
    assert.equal(await says('hostname'), 'oneil')
    assert.match(await says('id'), /^uid=1000\(ops\).*\(sudo\).*\(docker\)/)
    assert.equal(await says('sudo -n id -u'), '0')
    assert.equal(await says('sudo getent shadow ops | cut -d: -f2'), passwordHash)
    assert.equal(await says("ip -4 -o addr show dev eth0 | awk '{ print $4 }'"), `${address}/24`)
    assert.match(await says('ip route show default'), /via 172\.19\.181\.254 dev eth0/)
    assert.equal(await says('findmnt -n -o FSTYPE,LABEL /boot | tr -s " "'), 'vfat HypriotOS')
    assert.match(await says('cat /sys/fs/cgroup/cgroup.controllers'), /\bmemory\b/)
    assert.equal(await says('readlink -f /etc/localtime'), '/usr/share/zoneinfo/America/New_York')
    assert.equal(await says('cat /boot/fake-hwclock.data'), '2026-11-20 00:00:00')
    // What was said in the old spelling.
    assert.equal(await says('sudo cat ~pirate/.ssh/authorized_keys'), publicKey)
    assert.equal(await says('cat /run/pirate'), 'avast')
    const cloud = JSON.parse((await node.ssh('cloud-init status --format json')).stdout) as {
      errors: string[]
    }
    // The fixture has no resize2fs.
    assert.deepEqual(
      cloud.errors.filter((error) => !error.includes('resize2fs')),
      [],
    )
    assert.match(await says('cat /var/lib/piimage/status'), /"step":"firstboot","state":"done"/)
    assert.equal(await says('cat /boot/user-data'), '#cloud-config')
    assert.equal(await says('sudo find /etc/piimage/secrets -type f ! -perm 600'), '')
    await node.shutdown()
    noSecretsOn(card, [passwordHash, privateLine(keys.privateKey.reveal())])
  } finally {
    node.kill()
    if (process.env.PIIMAGE_KEEP_CONSOLE !== undefined)
      run('cp', [at('console.log'), `${process.env.PIIMAGE_KEEP_CONSOLE}-hypriot.log`])
    rmSync(card, { force: true })
  }
})

/** A line of the key that is different in every key. */
const privateLine = (pem: string): string => pem.split('\n')[3] ?? assert.fail('no key')

/** Neither in a file nor in a free cluster of the FAT. */
function noSecretsOn(card: string, secrets: readonly string[]): void {
  const fat = readFileSync(card).subarray(2048 * 512, (2048 + 64 * 2048) * 512)
  for (const secret of secrets) assert.equal(fat.indexOf(secret), -1, 'a secret is still on the FAT')
}
