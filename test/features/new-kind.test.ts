/**
 * A kind of cluster that piimage has never heard of: a folder with what is known
 * of it, an overlay with its step, and a line in the list of features. Nothing
 * else of the program is touched, and every command knows it.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseKey } from '../../src/catalog/names.ts'
import { packageRoot } from '../../src/package-root.ts'
import { makeEd25519Key } from '../../src/secrets/ed25519-key.ts'
import { sha256 } from '../golden/golden.ts'
import { lockEntry, makeStandIn } from '../golden/project.ts'
import { tempFolder } from '../support/temp.ts'

const IMAGE = 'raspios-bookworm-arm64-lite@2025-05-13'

const feature = (kubeconfig: string) => `import { Secret } from '../../secret.js'
export const nomad = {
  name: 'nomad',
  needs: ['cgroups'],
  personal: true,
  ranges: [{ what: 'the allocations', range: '10.99.0.0/16' }],
  purposes: { 'nomad-token': 'cluster: what a client shows its server' },
  artifacts: [
    {
      name: 'nomad-token',
      meaning: 'secret: what a client shows its server',
      of: (_, keys) => new Secret('NOMAD-' + keys.derive('nomad-token', '', 16).toString('hex') + '\\n'),
    },
  ],
  storage: {
    folders: [{ name: 'nomad', target: '/var/lib/nomad', mode: 0o700 }],
    units: ['nomad.service'],
  },
  secretForms: [{ name: 'a Nomad token', form: /\\bNOMAD-[0-9a-f]{32}/ }],
  probe: 'if command -v nomad >/dev/null; then echo "nomad $(nomad state)"; fi',
  join: {
    kubeconfig: ${JSON.stringify(kubeconfig)},
    refuse: ({ title, cpu }) =>
      cpu === 'armv6'
        ? { about: 'model', problem: 'is a ' + title + ': Nomad does not run on it', hint: 'take a Pi 3' }
        : undefined,
  },
}
`

const overlay = `name: nomad
summary: A Nomad cluster, formed by the nodes themselves
requires: [cgroups]
edits:
  - materials: [nomad-token]
  - file: { on: root, path: /etc/nomad.hcl, content: "server = \${json:cluster.headIp}\\n" }
  - firstboot: { phase: network, order: 50, script: nomad.sh, environment: { HEAD: "\${cluster.headIp}" } }
`

const cluster = `cluster: outer
image: ${IMAGE}
user: { name: ops, sshKeys: [id.pub] }
network: { cidr: 10.3.50.0/24, gateway: 10.3.50.254, dns: [10.3.50.254] }
overlays: [ssh]
join: { kind: nomad, head: a }
nodes:
  a: { model: pi4, address: 10.3.50.1/24 }
  b: { model: pi4, address: 10.3.50.2/24, boot: net, serial: 5b154510, mac: "dc:a6:32:2e:f8:ed", storage: 1G }
`

const kubeconfig = `apiVersion: v1
clusters: [{ cluster: { server: "https://127.0.0.1:6443" }, name: one }]
contexts: [{ context: { cluster: one, user: one }, name: one }]
current-context: one
kind: Config
users: [{ name: one, user: { token: tok } }]
`

/** Programs of the head, as ssh finds them there; ssh itself ends on this machine. */
const programs: Record<string, string> = {
  ssh: 'for command; do :; done\nexec sh -c "$command"',
  sudo: '[ "$1" != -n ] || shift\nexec "$@"',
  nomad: 'echo ready',
  cat: `case $1 in
/run/piimage/status) echo '{"step":"firstboot","state":"done","time":"2026-01-01T00:00:00Z","detail":""}' ;;
*) exec /bin/cat "$@" ;;
esac`,
}

/** piimage with that folder and that line, and a cluster to use it on. */
async function openProject(t: TestContext) {
  const folder = tempFolder(t)
  const file = (name: string) => join(folder, name)
  const lay = (name: string, text: string | Buffer, mode = 0o644) => {
    mkdirSync(dirname(file(name)), { recursive: true })
    writeFileSync(file(name), text, { mode })
  }
  const root = packageRoot()
  for (const name of ['overlays', 'firstboot', 'schema'])
    cpSync(join(root, name), file(`piimage/${name}`), { recursive: true })
  cpSync(join(root, 'build/src'), file('piimage/dist'), { recursive: true })
  symlinkSync(join(root, 'node_modules'), file('piimage/node_modules'))
  for (const name of ['package.json', 'images.lock.json'])
    copyFileSync(join(root, name), file(`piimage/${name}`))
  lay('piimage/dist/features/nomad/feature.js', feature(file('admin.conf')))
  lay('piimage/overlays/nomad/overlay.yaml', overlay)
  lay('piimage/overlays/nomad/nomad.sh', '#!/bin/sh\necho "$PIIMAGE_NOMAD_HEAD"\n')
  const list = file('piimage/dist/features/index.js')
  const text = readFileSync(list, 'utf8')
  writeFileSync(
    list,
    `import { nomad } from './nomad/feature.js'\n${text.replace(/^ {4}portainer,$/m, '    nomad,\n    portainer,')}`,
  )

  const image = await makeStandIn({ boot: 'bookworm', root: 'networkmanager' })
  lay('stock.img', image)
  const images = { [IMAGE]: lockEntry(parseKey(IMAGE) ?? {}, 'stock.img', image) }
  lay('images.lock.json', JSON.stringify({ lockfileVersion: 1, images }))
  const person = makeEd25519Key(Buffer.alloc(32, 1), 'me@laptop')
  lay('id.pub', `${person.publicLine}\n`)
  lay('cluster.key', `${sha256('nomad')}\n`, 0o600)
  lay('cluster.yaml', cluster)
  lay('admin.conf', kubeconfig)
  for (const [name, script] of Object.entries(programs)) lay(`bin/${name}`, `#!/bin/sh\n${script}\n`, 0o755)
  const piimage = (...args: string[]) => {
    const ran = spawnSync(
      process.execPath,
      [file('piimage/dist/cli.js'), ...args, '--cache', file('cache'), '--offline'],
      { cwd: folder, encoding: 'utf8', env: { PATH: `${file('bin')}:${process.env.PATH}`, HOME: folder } },
    )
    return { status: ran.status, said: ran.stdout + ran.stderr }
  }
  const change = (from: string | RegExp, to: string) => lay('cluster.yaml', cluster.replace(from, to))
  return { file, lay, piimage, change }
}

test('a new kind of cluster is a folder and a line', async (t) => {
  const { file, lay, piimage, change } = await openProject(t)
  const does = (status: number, says: RegExp, ...args: string[]) => {
    const ended = piimage(...args)
    assert.equal(ended.status, status, `${args.join(' ')}: ${ended.said}`)
    assert.match(ended.said, says)
    return ended.said
  }

  const plan = does(0, /firstboot\.d\/50-nomad\.sh/, 'plan', '--node', 'a')
  assert.match(plan, /piimage\/secrets\/nomad-token/)
  assert.match(plan, /PIIMAGE_NOMAD_HEAD='10\.3\.50\.1'/)
  does(0, /./, 'bake', '--node', 'a', '-o', file('out'))
  assert.match(readFileSync(file('out/a.img'), 'latin1'), /NOMAD-[0-9a-f]{32}\n/)

  // In an image for release nobody's cluster is joined.
  does(0, /./, 'bake', '--release', '--node', 'a', '-o', file('released'), '--format', 'img')
  const [released = ''] = readdirSync(file('released')).filter((name) => name.endsWith('.img'))
  assert.doesNotMatch(readFileSync(file(`released/${released}`), 'latin1'), /NOMAD|nomad/)

  does(0, /./, 'netroot', '--node', 'b', '--tar', file('b.tar'), '--prefix', file('server'))
  const tree = spawnSync('tar', ['-tf', file('b.tar')], { encoding: 'utf8' }).stdout
  assert.match(tree, /etc\/systemd\/system\/var-lib-nomad\.mount$/m)
  assert.match(tree, /etc\/systemd\/system\/nomad\.service\.d\//)

  does(0, /a .* ready/, 'status', '--node', 'a')
  does(0, /"join":"ready"/, 'status', '--node', 'a', '--json')
  does(0, /server: https:\/\/10\.3\.50\.1:6443/, 'export', 'kubeconfig')

  change('model: pi4, address: 10.3.50.1/24', 'model: zero, clusterhat: p1, address: 10.3.50.1/24')
  does(2, /a is a Raspberry Pi Zero: Nomad does not run on it/, 'plan', '--node', 'a')
  change(/10\.3\.50\./g, '10.99.0.')
  does(
    2,
    /the network 10\.99\.0\.0\/24 collides with the allocations 10\.99\.0\.0\/16/,
    'plan',
    '--node',
    'a',
  )
  change('kind: nomad', 'kind: nomat')
  does(2, /did you mean nomad/, 'plan', '--node', 'a')
  lay(
    'cluster.yaml',
    cluster.replace('[ssh]', '[ssh, nomad]').replace('join: { kind: nomad, head: a }\n', ''),
  )
  does(2, /a: the overlay nomad needs join: \{ kind: nomad \}/, 'plan', '--node', 'a')

  // A boot file with its secret would be anybody's.
  lay(
    'overlays/leak/overlay.yaml',
    'name: leak\nsummary: A mistake\nedits: [{ file: { path: note.txt, content: "NOMAD-0123456789abcdef0123456789abcdef\\n" } }]\n',
  )
  change('[ssh]', '[ssh, leak]')
  does(
    7,
    /would hold a Nomad token, in note\.txt/,
    'netroot',
    '--node',
    'b',
    '--prefix',
    file('served'),
    '--root-mode',
    'copy',
  )
})
