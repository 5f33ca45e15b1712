/**
 * The table of boots: each system that piimage knows on each processor, made
 * ready for its node and started by `piimage boot`, which asks from outside
 * whether it is that node.
 *
 * PIIMAGE_BOOT_TABLE=FILE runs them all, two at a time, and writes the table there.
 * Images: test/fixtures/pi-like.gen.sh.
 */
import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, it, type TestContext } from 'node:test'
import { boards, type Model } from '../../src/cluster/boards.ts'
import type { BootVerdict } from '../../src/work/events.ts'
import { runPiimage } from '../support/project.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needTool, run } from '../support/tools.ts'
import { makeHypriotCard } from './hypriot-card.ts'
import { arrange, type Cpu, type System } from './systems.ts'

const fixtures: Record<Cpu, string> = {
  armv6: 'PIIMAGE_FIXTURE_ARMV6',
  armv7: 'PIIMAGE_FIXTURE_ARMV7',
  arm64: 'PIIMAGE_FIXTURE_IMAGE',
}

interface Row {
  system: System | 'hypriotos'
  cpu: Cpu
  model: Model
}

/** What starts the first boot, and how often the board starts until it is done. */
const starts: Record<Row['system'], { by: string; boots: number }> = {
  stretch: { by: 'init=', boots: 2 },
  buster: { by: 'systemd.run=', boots: 2 },
  bullseye: { by: 'systemd.run=', boots: 2 },
  bookworm: { by: 'systemd.run=', boots: 2 },
  trixie: { by: 'cloud-init', boots: 1 },
  hypriotos: { by: 'cloud-init', boots: 1 },
  ubuntu: { by: 'cloud-init', boots: 1 },
}

const rows: Row[] = [
  { system: 'bookworm', cpu: 'armv6', model: 'zero' },
  { system: 'stretch', cpu: 'armv6', model: 'pi1' },
  { system: 'buster', cpu: 'armv6', model: 'zerow' },
  { system: 'bullseye', cpu: 'armv6', model: 'zero' },
  { system: 'stretch', cpu: 'armv7', model: 'pi2' },
  { system: 'buster', cpu: 'armv7', model: 'pi3b+' },
  { system: 'bookworm', cpu: 'armv7', model: 'pi2' },
  { system: 'trixie', cpu: 'armv7', model: 'pi4' },
  { system: 'ubuntu', cpu: 'armv7', model: 'pi3b+' },
  { system: 'stretch', cpu: 'arm64', model: 'pi3b+' },
  { system: 'bullseye', cpu: 'arm64', model: 'pi4' },
  { system: 'bookworm', cpu: 'arm64', model: 'pi4' },
  { system: 'trixie', cpu: 'arm64', model: 'pi3b' },
  { system: 'hypriotos', cpu: 'arm64', model: 'pi3b+' },
  { system: 'ubuntu', cpu: 'arm64', model: 'pi4' },
]

const address = '172.19.181.1'
const table = process.env.PIIMAGE_BOOT_TABLE
const written: string[] = []

// Hours of boots: the weekly run says where their table is to be.
if (table !== undefined)
  describe('a card of each system becomes its node', { concurrency: 2 }, () => {
    for (const row of rows) it(`${row.system} on ${row.cpu}`, (t) => bootRow(t, row))
  })

async function bootRow(t: TestContext, row: Row): Promise<void> {
  const { system, cpu, model } = row
  const fixture = needEnv(t, fixtures[cpu], `no image for ${cpu} to boot`)
  if (fixture === undefined) return
  for (const [tool, name] of [
    ['qemu-system-aarch64', 'qemu-system-arm'],
    ['mcopy', 'mtools'],
    ['mkfs.fat', 'dosfstools'],
    ['debugfs', 'e2fsprogs'],
    ['sfdisk', 'fdisk'],
    ['ssh-keygen', 'openssh-client'],
  ] as const)
    if (needTool(t, tool, name) === undefined) return
  const folder = tempFolder(t)
  const image = join(folder, 'image.img')
  if (system === 'hypriotos') {
    assert.equal(run('mv', [makeHypriotCard(fixture, folder), image]).status, 0)
  } else {
    const unpack = 'xz -dc "$1" | dd of="$2" bs=1M conv=sparse status=none'
    assert.equal(run('sh', ['-c', unpack, 'sh', fixture, image]).status, 0)
    arrange(image, folder, system, cpu)
  }
  writeCluster(folder, image, row)

  const log = process.env.PIIMAGE_KEEP_CONSOLE
  const said = await runPiimage(folder, ['boot', 'oneil', '--json', '--console'], {
    onText: (text) => log !== undefined && appendFileSync(`${log}-${system}-${cpu}.log`, text),
  })
  const found = (name: string): unknown => said.events.find(({ event }) => event === name)
  const verdict = found('booted') as BootVerdict | undefined
  const { machine } = (found('boot-start') ?? {}) as { machine?: string }
  const last = said.events.filter(({ event }) => event === 'console').slice(-20)
  const told = `${JSON.stringify(verdict)}\n${said.stderr}`
  t.diagnostic(`${system} on ${cpu}: ${machine}: ${told}`)
  assert.equal(said.status, 0, `${told}\n${last.map(({ line }) => line).join('\n')}`)
  assert.equal(verdict?.boots, starts[system].boots)
  const checks = verdict.checks.map(({ what }) => what)
  assert.deepEqual(checks, [
    ...['started', 'host key', 'login', 'host name', 'address', 'memory cgroup', 'first boot'],
  ])
  rmSync(image)
  const date = new Date().toISOString().slice(0, 10)
  const { title } = boards[model]
  written.push(
    `| ${system} | ${cpu} | ${title} | ${machine} | ${starts[system].by} | ${verdict.boots} | ${date} | ${verdict.seconds} |`,
  )
}

/** A cluster of one node, and the lock with its image. */
function writeCluster(folder: string, image: string, { system, cpu, model }: Row): void {
  const key = join(folder, 'id_ed25519')
  assert.equal(run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'ops', '-f', key]).status, 0)
  const os = system === 'hypriotos' || system === 'ubuntu' ? system : 'raspios'
  const name = `${os}-${system}-fixture@1`
  const facts = {
    size: statSync(image).size,
    sha256: run('sha256sum', [image]).stdout.slice(0, 64),
    source: { kind: 'computed' },
  }
  const locked = {
    ...{ os, release: null, version: '1', arch: cpu === 'arm64' ? 'arm64' : 'armhf', variant: 'lite' },
    ...{ url: 'file:image.img', format: 'img', download: facts, extracted: facts },
  }
  const put = (file: string, text: string) => writeFileSync(join(folder, file), text, { mode: 0o600 })
  put('images.lock.json', JSON.stringify({ lockfileVersion: 1, images: { [name]: locked } }))
  put('cluster.key', `${'0123456789abcdef'.repeat(4)}\n`)
  // A Zero's cable is no Ethernet of its own: QEMU plugs an adapter in.
  const at = `address: ${address}/24${boards[model].ethernet ? '' : ', interface: eth0'}`
  put(
    'cluster.yaml',
    `cluster: sgc
image: ${name}
user: { name: ops, sshKeys: ['${readFileSync(`${key}.pub`, 'utf8').trim()}'] }
network: { cidr: 172.19.181.0/24 }
overlays: [ssh, cgroups]
nodes:
  oneil: { model: ${model}, ${at} }
`,
  )
}

/** Rows in the table's own order, whichever was ready first. */
after(() => {
  if (table === undefined) return
  const order = (line: string) =>
    rows.findIndex(({ system, cpu }) => line.startsWith(`| ${system} | ${cpu} |`))
  const lines = written.sort((one, other) => order(one) - order(other))
  const head =
    '| system | processor | board | QEMU’s machine | first boot by | starts | date | seconds |\n|---|---|---|---|---|---|---|---|\n'
  writeFileSync(table, `${head}${lines.join('\n')}\n`)
})
