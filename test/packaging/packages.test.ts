/**
 * piimage as people install it, each in a place without the checkout: the npm
 * package, the single executable (here and, emulated, on arm64), the Debian
 * packages. From each a node of the demo is written and read back.
 */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { packageRoot } from '../../src/package-root.ts'
import { disklessProject } from '../netroot/diskless.ts'
import { tempFolder } from '../support/temp.ts'
import { needEnv, needRoot, needTool, type Ran, run } from '../support/tools.ts'

const root = packageRoot()
const packaging = join(root, 'packaging')
const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

/** Start a cluster, write a node of it, read it back, each with a command line of its own. */
function flashDemo(piimage: (folder: string, ...args: string[]) => Ran, folder: string): void {
  const ok = ({ status, stderr, stdout }: Ran): string => {
    assert.equal(status, 0, stderr)
    return stdout
  }
  assert.match(ok(piimage(folder, '--version')), /^\d+\.\d+\.\d+\n$/)
  ok(piimage(folder, 'init', 'home', '--template', 'demo', '--yes'))
  const home = join(folder, 'home')
  ok(piimage(home, 'flash', '--node', 'oneil', 'oneil.img'))
  assert.match(ok(piimage(home, 'inspect', 'oneil.img', '--check')), /equal to the plan for oneil/)
}

/** An own home folder, and nothing of the checkout's in sight. */
const runIn =
  (command: string, ...first: string[]) =>
  (folder: string, ...args: string[]): Ran =>
    run(command, [...first, ...args], { cwd: folder, env: { HOME: folder, PATH } })

const node = (...args: string[]): void => {
  const { status, stderr } = run(process.execPath, args, { cwd: root })
  assert.equal(status, 0, stderr)
}

test('npm: packed, installed into an empty folder', (t) => {
  const npm = needTool(t, 'npm', 'npm')
  if (npm === undefined) return
  const folder = tempFolder(t)
  const packed = run(npm, ['pack', '--silent', '--pack-destination', folder], { cwd: root })
  assert.equal(packed.status, 0, packed.stderr)
  const prefix = join(folder, 'prefix')
  const installed = run(
    npm,
    [
      'install',
      '--global',
      '--prefix',
      prefix,
      '--no-audit',
      '--no-fund',
      join(folder, packed.stdout.trim()),
    ],
    { cwd: folder },
  )
  assert.equal(installed.status, 0, installed.stderr)
  flashDemo(runIn(process.execPath, join(prefix, 'bin/piimage')), folder)
})

test('single executable: no Node beside it', (t) => {
  const folder = tempFolder(t)
  const program = join(folder, 'piimage')
  node(join(packaging, 'single-file/build.mjs'), program)
  flashDemo(runIn(program), folder)
  // Several cards at once: the program starts itself again.
  const both = runIn(program)(
    join(folder, 'home'),
    'flash',
    '--node',
    'hammond=a.img',
    '--node',
    'carter=b.img',
  )
  assert.equal(both.status, 0, both.stderr)
  assert.match(`${both.stdout}${both.stderr}`, /hammond +a\.img +done/)
})

test('single executable for arm64, emulated', (t) => {
  const arm = needEnv(t, 'PIIMAGE_NODE_ARM64', 'the path of a Node executable for arm64, of the same version')
  const qemu = needTool(t, 'qemu-aarch64-static', 'qemu-user-static')
  if (arm === undefined || qemu === undefined) return
  const folder = tempFolder(t)
  const program = join(folder, 'piimage')
  node(join(packaging, 'single-file/build.mjs'), program, arm)
  flashDemo(runIn(qemu, '-L', '/usr/aarch64-linux-gnu', program), folder)
})

/** A Debian without piimage, of its own for this test. */
function debianRoot(t: TestContext, variable: string): string | undefined {
  const made = needEnv(t, variable, 'the path of a Debian root file system')
  if (made === undefined || !needRoot(t)) return undefined
  const folder = join(tempFolder(t), 'root')
  const { status, stderr } = run('cp', ['-a', made, folder])
  assert.equal(status, 0, stderr)
  return folder
}

function buildDeb(t: TestContext, ...args: string[]): string {
  const folder = tempFolder(t)
  const env = { ...process.env, DEBFULLNAME: 'A Tester', DEBEMAIL: 'tester@debian.org' }
  const made = run(process.execPath, [join(packaging, 'debian/build.mjs'), folder, ...args], {
    cwd: root,
    env,
  })
  assert.equal(made.status, 0, made.stderr)
  return join(folder, readdirSync(folder)[0] ?? '')
}

function lint(t: TestContext, deb: string): void {
  const lintian = needTool(t, 'lintian', 'lintian')
  if (lintian === undefined) return
  const { stdout, status } = run(lintian, ['--allow-root', '--fail-on', 'error', deb])
  assert.equal(status, 0, stdout)
}

function installDeb(into: string, deb: string): (folder: string, ...args: string[]) => Ran {
  mkdirSync(join(into, 'tmp/work'), { recursive: true })
  cpSync(deb, join(into, 'tmp/piimage.deb'))
  const installed = run('chroot', [into, 'dpkg', '-i', '/tmp/piimage.deb'], { env: { PATH } })
  assert.equal(installed.status, 0, installed.stderr)
  // With /proc and /dev, as on a machine; the mounts go with their namespace.
  const script = `mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" && root=$1 && shift &&
    exec chroot "$root" sh -c 'cd "$1" && shift && exec piimage "$@"' sh "$@"`
  return (folder, ...args) =>
    run('unshare', ['--mount', 'bash', '-c', script, 'bash', into, folder.slice(into.length), ...args], {
      env: { HOME: '/root', PATH },
    })
}

test('Debian package: installed beside Debian’s own Node, and netroot lays nodes out from it', (t) => {
  const into = debianRoot(t, 'PIIMAGE_DEBIAN_ROOT')
  if (into === undefined) return
  const deb = buildDeb(t)
  lint(t, deb)
  const piimage = installDeb(into, deb)
  const work = join(into, 'tmp/work')
  flashDemo(piimage, work)
  for (const page of ['piimage.1.gz', 'piimage-flash.1.gz'])
    assert.ok(existsSync(join(into, 'usr/share/man/man1', page)), page)

  const project = disklessProject(t)
  const diskless = join(work, 'diskless')
  cpSync(project.file('.'), diskless, { recursive: true })
  const laid = piimage(diskless, 'netroot', '--prefix', '/tmp/server')
  assert.equal(laid.status, 0, laid.stderr)
  const nodes = join(into, 'tmp/server/srv/piimage/demo/nodes')
  assert.deepEqual(readdirSync(nodes).sort(), ['carter', 'oneil'])
  assert.match(readFileSync(join(into, 'tmp/server/etc/piimage/netroot/dhcp-hosts'), 'utf8'), /carter/)
})

test('Debian package with its own Node: installed where Debian has none', (t) => {
  const into = debianRoot(t, 'PIIMAGE_DEBIAN_OLD_ROOT')
  if (into === undefined) return
  const deb = buildDeb(t, 'amd64', process.execPath)
  lint(t, deb)
  assert.ok(!existsSync(join(into, 'usr/bin/node')))
  assert.ok(statSync(deb).size < 40e6)
  flashDemo(installDeb(into, deb), join(into, 'tmp/work'))
})
