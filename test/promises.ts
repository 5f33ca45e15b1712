/**
 * The table of promises in docs/security.md: what piimage promises, how that is tested,
 * and how much of it the last test run held. `npm run promises`, after a whole
 * `npm test`, fails where the run held less than the page says, or something
 * else; UPDATE=1 writes the page instead.
 *
 * A figure stands in braces: what was counted, then the test files it comes
 * from (a `*` at the end for all that begin so). `cases` are the passed tests
 * of a file; anything else is what its tests counted (./support/figures.ts).
 * To add a promise, add a row; to count more, call `figure` in the test.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../src/package-root.ts'

interface Row {
  promise: string
  tested: string
  figure: string
}

const rows: Row[] = [
  {
    promise: 'A card that fails, lies or goes away is reported, with status 5, and does not boot',
    tested:
      'simulated cards (nbdkit) under `flash`, `--changed-only`, `--all` and `customise`: write and read errors at a place and from a moment on, pulled, holes, turned bits, full, slow, read-only, 4 KiB sectors, fakes',
    figure: '{cases test/faults/cards.test test/flash/bad-card.test} cards',
  },
  {
    promise: 'No card boots that was not read back equal; every byte is compared',
    tested: 'a byte flipped in the download, in the unpacked image, on the card',
    figure: '{flipped bytes test/commands/corruption.test} flipped bytes',
  },
  {
    promise: '`--probe` finds a card that announces more than it holds',
    tested: 'f3probe on the same simulated cards; every size of a fake in whole grains, in memory',
    figure: '{cases test/faults/probe.test test/flash/probe.test} cases',
  },
  {
    promise:
      'Killed at any moment: what has its final name is whole, no unverified card boots, the next run succeeds and clears up',
    tested:
      'SIGKILL at seeded moments and system calls over `images`, `flash`, `bake`, `customise`, `init` and `netroot`',
    figure: '{kills test/*} kills',
  },
  {
    promise: 'Stopped (SIGINT, SIGTERM, SIGHUP): ends by itself, status 130, and says how things stand',
    tested: 'every long command in its phases, with what it waits for never coming',
    figure: '{cases test/faults/stops.test test/commands/interrupt.test} moments',
  },
  {
    promise: 'Two at once: one works, the other waits or is refused; nothing is lost',
    tested: 'the same drive, file, image, folder, batch, lock file and new cluster',
    figure: '{cases test/faults/together.test} pairs',
  },
  {
    promise: 'Only the card is written, never a drive in use',
    tested:
      'system disk, swap, mounted, LVM, RAID, encrypted, btrfs, cache, by links, by-id names, `..`, nodes made elsewhere, bind mounts, open files',
    figure:
      '{refused names test/faults/guard.test} names refused, {accepted names test/faults/guard.test} accepted; {cases test/faults/guard* test/drives/guard.test test/drives/linux.test test/commands/refusals.test} cases',
  },
  {
    promise: 'A network that fails or lies never hangs piimage, and nothing wrong is kept',
    tested:
      'servers that stall, crawl, cut, lie about lengths and ranges, redirect, compress; captive portals; dead proxies; no network',
    figure: '{cases test/faults/network.test test/fetch/*} cases',
  },
  {
    promise: 'A damaged or hostile image, archive, catalogue or cluster file is an error that says where',
    tested:
      'each reader with damage at every field; property tests; a coverage-guided fuzzer over every parser (a million inputs for each [at length](../test/fuzz/README.md), some in each test run)',
    figure:
      '{cases test/unpack/damage.test test/disk/ext4-damage.test test/disk/fat/hostile.test test/catalog/hostile.test test/cluster/bad-files.test test/cluster/any-text.test} cases; {parsers test/fuzz/fuzz.test} parsers, {fuzzed inputs test/fuzz/fuzz.test} inputs',
  },
  {
    promise:
      'No text of a cluster file or overlay becomes code, a setting or a file name on the way: it stays a text, or is refused',
    tested:
      'every text of the example clusters and every parameter of every overlay, by the readers of what is written',
    figure: '{hostile values test/customise/injection.test} values',
  },
  {
    promise: 'Secrets are on the node’s own card and nowhere else',
    tested:
      'each secret, in each form, looked for in what every command says and leaves; and in release images',
    figure:
      '{secrets test/commands/secrets.test} forms of secrets, {command lines test/commands/secrets.test} command lines',
  },
  {
    promise: 'What the threat model says that nobody can, nobody could',
    tested:
      'the attempts of a stranger’s overlay, of another user of the machine and of the cache, of hostile names and patterns, of bad surroundings, of archives, signatures, certificates and spoofed boards, of a stranger at the swarm’s broker',
    figure: '{attempts test/security/*} attempts, {got through test/security/*} got through',
  },
  {
    promise: 'What is edited is what the judges call right',
    tested: 'fsck.fat, mtools, e2fsck, debugfs, the kernel',
    figure: '{cases test/disk/* test/customise/*} cases',
  },
  {
    promise: 'The same inputs give the same card; secrets are derived, formatted and kept as documented',
    tested: 'OpenSSL, ssh-keygen, published vectors; releases searched for every secret',
    figure: '{cases test/secrets/* test/commands/release.test test/customise/find-secrets.test} cases',
  },
  {
    promise:
      'Diskless: laid out whole or not at all, nothing shared between nodes, nothing secret by TFTP, nothing to everybody by NFS; what would stop a boot is told',
    tested:
      'kills, each kind of root on its file system, the loop-mounted image as judge; real dnsmasq and NFS servers with a deliberate fault each; nfs-utils’ and systemd’s own parsers',
    figure:
      '{cases test/netroot/* test/tree/*} cases of trees, {cases test/rehearsal/*} of rehearsals, {cases test/servers/*} of servers',
  },
  {
    promise:
      'A card that piimage flashed boots, and so does a diskless node: with its own name, keys, address and swarm',
    tested:
      'QEMU: cloud-init, `systemd.run=`, HypriotOS and NetworkManager styles; two diskless nodes; two cards that become a swarm',
    figure: '{cases test/boot/*} boots',
  },
  {
    promise:
      'Every step of the first boot: run twice it changes nothing, in trouble it says so, tries again and leaves nothing by halves',
    tested: 'disk full, no network, wrong clock, broken apt, power cuts; under dash, busybox and bash',
    figure: '{cases test/firstboot/*} cases',
  },
  {
    promise: 'A power cut during the first boot is made up for by the next',
    tested: 'each first-boot step cut short and repeated',
    figure: '{cases test/firstboot/power-cut.test} cases',
  },
]

interface Line {
  file: string
  figure: string
  count: number
}

function readFigures(): Line[] {
  const path = join(packageRoot(), 'build/figures.jsonl')
  if (!existsSync(path)) throw new Error('no figures yet: run npm test')
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
}

const covers = (pattern: string, file: string): boolean =>
  pattern.endsWith('*') ? file.startsWith(pattern.slice(0, -1)) : file === pattern

function fillFigure(template: string, lines: readonly Line[]): string {
  return template.replace(/\{([a-z ]+?)((?: test\/[^ }]+)+)\}/g, (_, figure: string, files: string) => {
    const patterns = files.trim().split(' ')
    const counted = lines.filter((line) => line.figure === figure)
    for (const pattern of patterns)
      if (!counted.some(({ file }) => covers(pattern, file)))
        throw new Error(`the last run has no ${figure} of ${pattern}: was all of npm test run?`)
    const sum = counted
      .filter(({ file }) => patterns.some((pattern) => covers(pattern, file)))
      .reduce((total, { count }) => total + count, 0)
    return String(sum)
  })
}

function renderTable(lines: readonly Line[]): string {
  const cells = rows.map(
    ({ promise, tested, figure }) => `| ${promise} | ${tested} | ${fillFigure(figure, lines)} |\n`,
  )
  return `| promise | how it is tested | figure |\n|---|---|---|\n${cells.join('')}`
}

const BEGIN = '<!-- promises -->\n'
const END = '<!-- /promises -->'

/** @returns what is wrong; undefined: the page says what the run held */
function compareReadme(): string | undefined {
  const lines = readFigures()
  const failed = lines.filter(({ figure }) => figure === 'failed')
  if (failed.length > 0) return `tests failed in ${[...new Set(failed.map(({ file }) => file))].join(', ')}`
  const table = renderTable(lines)
  const file = join(packageRoot(), 'docs/security.md')
  const text = readFileSync(file, 'utf8')
  const [begin, end] = [text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END)]
  if (begin < BEGIN.length || end < begin) return 'docs/security.md lacks the markers of the table'
  const written = text.slice(begin, end)
  if (written === table) return undefined
  if (process.env.UPDATE === '1') {
    writeFileSync(file, text.slice(0, begin) + table + text.slice(end))
    return undefined
  }
  const now = table.split('\n')
  const before = written.split('\n')
  const stale = before.filter((line, index) => !holds(now[index] ?? '', line))
  if (stale.length === 0 && now.length === before.length) return undefined
  return `docs/security.md promises what the last run did not hold (UPDATE=1 writes what it held):\n${stale.join('\n')}`
}

const NUMBER = /\d+/g

/** Whether a row of the run has the words of a row of the README, and no smaller figure. */
function holds(now: string, written: string): boolean {
  if (now.replace(NUMBER, '#') !== written.replace(NUMBER, '#')) return false
  const figures = now.match(NUMBER) ?? []
  return (written.match(NUMBER) ?? []).every((figure, index) => Number(figures[index]) >= Number(figure))
}

try {
  const wrong = compareReadme()
  if (wrong !== undefined) throw new Error(wrong)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
