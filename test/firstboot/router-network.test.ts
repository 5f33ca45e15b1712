/**
 * The router's settings and rules at work: real dnsmasq and real iptables in
 * three network namespaces, `outside` — `router` — `client`. Nothing outside
 * knows the way back into the cluster's network, so an answer has been through
 * the NAT.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bootFilesOf } from '../../src/boot/boot-files.ts'
import { readOverlays } from '../../src/customise/overlay.ts'
import { planBoot } from '../../src/customise/plan-boot.ts'
import { packageRoot } from '../../src/package-root.ts'
import { keys, makeCluster, makeNode, use } from '../customise/cluster.ts'
import { stockFiles } from '../customise/stock.ts'
import { tempFolder } from '../support/temp.ts'
import { needRoot, needTool, run } from '../support/tools.ts'

const image = { key: 'raspios-trixie-arm64-lite@2025-12-04', version: '2025-12-04', arch: 'arm64' } as const
const MAC = 'e4:5f:01:fc:aa:29'
const reserved = '10.3.50.11'

/** The router's payload, by path in it. */
async function routerPayload(): Promise<(path: string) => string> {
  const caspar = makeNode({
    name: 'caspar',
    role: 'head',
    interfaces: [
      { name: 'eth0', address: { ip: '10.3.50.1', prefix: 24 }, dns: [] },
      { name: 'wlan0', dns: [] },
    ],
    router: { uplink: 'wlan0', lan: 'eth0' },
    overlays: ['hostname', 'router'].map((name) => use(name)),
  })
  const balthasar = makeNode({
    name: 'balthasar',
    interfaces: [{ name: 'eth0', address: { ip: reserved, prefix: 24 }, dns: [] }],
    mac: MAC,
  })
  const cluster = makeCluster([caspar, balthasar], {
    network: { cidr: '10.3.50.0/24', gateway: '10.3.50.1', dns: ['10.3.50.1'], domain: 'cluster' },
  })
  const overlays = await readOverlays([join(packageRoot(), 'overlays')])
  const { files } = await planBoot({
    cluster,
    node: caspar,
    image,
    boot: bootFilesOf(stockFiles('trixie')),
    overlays,
    keys,
  })
  return (path) => {
    const file = files.find((candidate) => candidate.path === `piimage/${path}`)
    assert.ok(file?.after, path)
    return Buffer.from(file.after).toString('utf8')
  }
}

/** What the payload puts at a path of the root file system. */
function rootFile(payload: (path: string) => string, path: string): string {
  const line = payload('files.list')
    .split('\n')
    .find((candidate) => candidate.split(' ')[3] === path)
  assert.ok(line, path)
  return payload(line.split(' ')[4] ?? '')
}

interface Lab {
  /** Run in a namespace. */
  inside(space: Space, command: string, ...args: string[]): ReturnType<typeof run>
  /** The same, and it must succeed. @returns what it printed */
  must(space: Space, command: string, ...args: string[]): string
  start(space: Space, command: string, ...args: string[]): ChildProcess
}
type Space = 'outside' | 'router' | 'client'

/** wlan0 of the router leads outside, its eth0 to the client. */
function makeLab(t: TestContext): Lab {
  const full = (space: Space) => `piimage-${process.pid}-${space}`
  const children: ChildProcess[] = []
  const ip = (...args: string[]) => {
    const ran = run('ip', args)
    assert.equal(ran.status, 0, ran.stderr)
  }
  t.after(() => {
    for (const child of children) child.kill('SIGKILL')
    for (const space of ['outside', 'router', 'client'] as const) run('ip', ['netns', 'del', full(space)])
  })
  for (const space of ['outside', 'router', 'client'] as const) ip('netns', 'add', full(space))
  const link = (a: Space, nameA: string, b: Space, nameB: string) => {
    ip('link', 'add', nameA, 'netns', full(a), 'type', 'veth', 'peer', 'name', nameB, 'netns', full(b))
  }
  link('outside', 'up0', 'router', 'wlan0')
  link('router', 'eth0', 'client', 'eth0')
  const up = (space: Space, name: string, ...address: string[]) => {
    for (const one of address) ip('-n', full(space), 'addr', 'add', one, 'dev', name)
    for (const each of ['lo', name]) ip('-n', full(space), 'link', 'set', each, 'up')
  }
  up('outside', 'up0', '203.0.113.1/24')
  up('router', 'wlan0', '203.0.113.2/24')
  up('router', 'eth0', '10.3.50.1/24')
  ip('-n', full('client'), 'link', 'set', 'eth0', 'address', MAC)
  up('client', 'eth0')
  const inside: Lab['inside'] = (space, command, ...args) =>
    run('ip', ['netns', 'exec', full(space), command, ...args])
  return {
    inside,
    must: (space, command, ...args) => {
      const ran = inside(space, command, ...args)
      assert.equal(ran.status, 0, `${command} ${args.join(' ')}: ${ran.stdout}${ran.stderr}`)
      return ran.stdout
    },
    start: (space, command, ...args) => {
      const child = spawn('ip', ['netns', 'exec', full(space), command, ...args], { stdio: 'ignore' })
      children.push(child)
      return child
    },
  }
}

/** Until it is true, at most ten seconds. */
async function until(what: string, isTrue: () => boolean): Promise<void> {
  for (let tried = 0; tried < 100; tried++) {
    if (isTrue()) return
    await sleep(100)
  }
  assert.fail(`it never came: ${what}`)
}

test('router: a client gets its address, finds names, and reaches the outside; also after Docker', async (t) => {
  const [busybox, dnsmasq] = [needTool(t, 'busybox', 'busybox'), needTool(t, 'dnsmasq', 'dnsmasq-base')]
  if (busybox === undefined || dnsmasq === undefined || !needRoot(t)) return
  if (needTool(t, 'iptables', 'iptables') === undefined || needTool(t, 'ip', 'iproute2') === undefined) return
  const payload = await routerPayload()
  const folder = tempFolder(t)
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    chmodSync(join(folder, name), 0o755)
    return join(folder, name)
  }
  const lab = makeLab(t)
  const settings = file('dnsmasq.conf', payload('material/router-dnsmasq'))
  const nat = file('nat.sh', rootFile(payload, '/usr/local/sbin/piimage-nat'))
  const forward = file('sysctl.conf', rootFile(payload, '/etc/sysctl.d/90-piimage-router.conf'))
  const unit = rootFile(payload, '/etc/systemd/system/piimage-nat.service')
  const started = /^ExecStart=\/usr\/local\/sbin\/piimage-nat (.*)$/m.exec(unit)?.[1]?.split(' ') ?? []
  assert.deepEqual(started, ['wlan0', 'eth0', '10.3.50.0/24'])
  assert.match(unit, /^PartOf=docker\.service$/m)

  const serve = () => {
    const noFiles = ['--no-resolv', `--pid-file=${folder}/pid`, `--dhcp-leasefile=${folder}/leases`]
    return lab.start('router', dnsmasq, '-k', '--user=root', '-C', settings, ...noFiles)
  }
  let server = serve()
  file('index.html', 'from outside\n')
  lab.start('outside', busybox, 'httpd', '-f', '-p', '203.0.113.1:80', '-h', folder)
  const lease = file(
    'lease.sh',
    `#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr replace "$ip/$mask" dev "$interface"
ip route replace default via "$router"
echo "$ip $router $dns $domain $hostname" >'${folder}/lease'
`,
  )
  const ask = () =>
    lab.inside(
      'client',
      busybox,
      'udhcpc',
      '-i',
      'eth0',
      '-n',
      '-q',
      '-f',
      '-t',
      '20',
      '-T',
      '1',
      '-s',
      lease,
    )
  const fetching =
    'fetch(process.argv[1], { signal: AbortSignal.timeout(3000) }).then((answer) => answer.text()).then((text) => process.stdout.write(text))'
  const page = () => lab.inside('client', process.execPath, '-e', fetching, 'http://203.0.113.1/index.html')

  // Forwarding off, no rules: nothing gets through, so the test can fail.
  await until('an address', () => ask().status === 0)
  assert.equal(
    readFileSync(join(folder, 'lease'), 'utf8'),
    `${reserved} 10.3.50.1 10.3.50.1 cluster balthasar\n`,
  )
  assert.notEqual(page().status, 0)

  const route = () => lab.must('router', 'sh', nat, ...started)
  lab.must('router', 'sysctl', '-q', '-p', forward)
  route()
  const works = (when: string) => {
    for (const name of ['caspar.cluster', 'caspar'])
      assert.match(lab.must('client', busybox, 'nslookup', name, '10.3.50.1'), /10\.3\.50\.1\b/, when)
    assert.match(lab.must('client', busybox, 'nslookup', 'balthasar.cluster', '10.3.50.1'), /10\.3\.50\.11\b/)
    const got = page()
    assert.equal(got.stdout, 'from outside\n', `${when}: ${got.stderr}`)
  }
  works('first')
  const rules = () => lab.must('router', 'iptables-save').replaceAll(/^#.*\n|\[\d+:\d+\]/gm, '')
  const before = rules()
  route()
  assert.equal(rules(), before, 'the rules set twice are the same rules')

  // Docker starts: it closes forwarding and puts its own chains in front.
  const docker = (...args: string[]) => lab.must('router', 'iptables', '-w', ...args)
  docker('-P', 'FORWARD', 'DROP')
  for (const chain of ['DOCKER-USER', 'DOCKER-FORWARD']) {
    docker('-N', chain)
    docker('-I', 'FORWARD', '-j', chain)
  }
  docker('-A', 'DOCKER-FORWARD', '-i', 'eth0', '-j', 'DROP')
  assert.notEqual(page().status, 0)
  route()
  works('after Docker started')
  assert.match(docker('-S'), /-P FORWARD DROP/)
  assert.match(docker('-S', 'DOCKER-FORWARD'), /-i eth0 -j DROP/, "Docker's rules are Docker's")

  // Somebody flushed everything, as nftables.service does when it is loaded again.
  docker('-F')
  docker('-t', 'nat', '-F')
  assert.notEqual(page().status, 0)
  route()
  works('after a flush')

  server.kill('SIGKILL')
  // `ip netns exec` becomes dnsmasq itself, so its end is the server's.
  await until('the end of dnsmasq', () => server.signalCode !== null)
  server = serve()
  await until(
    'dnsmasq again',
    () => lab.inside('client', busybox, 'nslookup', 'caspar', '10.3.50.1').status === 0,
  )
  assert.equal(ask().status, 0)
  works('after dnsmasq was started again')
})
