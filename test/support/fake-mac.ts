/**
 * A Mac for tests: the whole of piimage as a process with its platform replaced
 * (./fake-mac-platform.ts), a diskutil and an ioreg that answer from files, and
 * a /dev of its own in which disk4 and rdisk4 are a loop device. Apple's kernel
 * and Apple's tools are what is not there.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { formatDeviceNumber } from '../../src/drives/device-number.ts'
import { type Death, startVictim, type Victim, type VictimOptions } from '../faults/victim.ts'
import { attachLoop, makeSparseFile } from './loop.ts'
import { appleSilicon, type Dict, info, mac, piCard, plistXml } from './mac-records.ts'
import { demoProject, type Project } from './project.ts'
import { tempFolder } from './temp.ts'
import { needRoot, needTool } from './tools.ts'

const PLATFORM = pathToFileURL(join(import.meta.dirname, 'fake-mac-platform.js')).href

/** `diskutil VERB …`: what it is asked is kept in `log`; files named `hold-VERB` say how often it fails. */
const DISKUTIL = `#!/bin/sh
s=$FAKE_MAC
echo "$*" >>"$s/log"
fail() { echo "$1" >&2; exit 1; }
take() { n=$(cat "$s/hold-$1" 2>/dev/null || echo 0); [ "$n" -gt 0 ] || return 1; echo $((n - 1)) >"$s/hold-$1"; }
disk=\${2#/dev/}
case "$1" in
list) cat "$s/list.plist" ;;
info)
  file="$s/info-$(echo "$3" | tr / _).plist"
  [ -e "$file" ] && exec cat "$file"
  echo '<plist version="1.0"><dict><key>Error</key><true/><key>ErrorMessage</key>'
  echo "<string>Could not find disk: $3</string></dict></plist>"
  exit 1 ;;
unmountDisk)
  take unmountDisk && fail "Unmount of $disk failed: at least one volume could not be unmounted"
  [ -e "$s/list-unmounted.plist" ] && cp "$s/list-unmounted.plist" "$s/list.plist"
  echo "Unmount of all volumes on $disk was successful" ;;
eject)
  take eject && fail "Volume timed out while waiting to eject"
  echo "Disk /dev/$disk ejected" ;;
*) fail "did not recognize verb" ;;
esac
`

/** After \`media-after\` answers, another medium is in. */
const IOREG = `#!/bin/sh
s=$FAKE_MAC
echo "ioreg $*" >>"$s/log"
[ -e "$s/media-after" ] || exec cat "$s/media.plist"
n=$(cat "$s/media-after")
[ "$n" -gt 0 ] || exec cat "$s/other-media.plist"
echo $((n - 1)) >"$s/media-after"
exec cat "$s/media.plist"
`

/** $1: tools, $2: a folder, then name:major:minor of each disk, then --, then what to run. */
const ENTER = `set -e
mount --bind "$1" /usr/sbin
dev=$2; shift 2
mount -t tmpfs tmpfs "$dev"
for one in null:1:3 zero:1:5 random:1:8 urandom:1:9; do
  IFS=: read -r name major minor <<END
$one
END
  mknod -m 666 "$dev/$name" c "$major" "$minor"
done
ln -s /proc/self/fd "$dev/fd"
while [ "$1" != -- ]; do
  IFS=: read -r name major minor <<END
$1
END
  mknod "$dev/$name" b "$major" "$minor"; mknod "$dev/r$name" b "$major" "$minor"; shift
done
shift
mount --move "$dev" /dev
exec "$@"
`

export interface FakeMac {
  project: Project
  /** The file behind disk4, disk5, … */
  backing(id: string): string
  /** What diskutil and ioreg were asked, a line each. */
  log(): string[]
  /** Ask a tool or the kernel for a refusal: ./fake-mac-platform.ts and the scripts above. */
  set(name: string, value: string | number): void
  /** From now on diskutil does not find it, though it was just listed. */
  forget(id: string): void
  has(name: string): boolean
  /** Take back what `set` asked for. */
  clear(name: string): void
  removeDiskutil(): void
  start(words: readonly string[], options?: Partial<VictimOptions>): Victim
  piimage(...words: string[]): Promise<Death>
}

const CARD_BYTES = 96 * 1024 * 1024

/** @returns undefined after the test was skipped */
export function startMac(t: TestContext, ids: readonly string[] = ['disk4']): FakeMac | undefined {
  if (!needRoot(t) || needTool(t, 'unshare', 'util-linux') === undefined) return undefined
  const project = demoProject(t)
  const state = tempFolder(t)
  const [tools, dev] = [join(state, 'tools'), join(state, 'dev')]
  for (const folder of [tools, dev]) mkdirSync(folder)
  for (const [name, text] of [
    ['diskutil', DISKUTIL],
    ['ioreg', IOREG],
  ] as const) {
    writeFileSync(join(tools, name), text)
    chmodSync(join(tools, name), 0o755)
  }
  const backing = (id: string) => join(state, `${id}.bin`)
  const numbers = ids.map((id) => {
    makeSparseFile(backing(id), CARD_BYTES)
    const loop = attachLoop(t, backing(id))
    return `${id}:${formatDeviceNumber(statSync(loop, { bigint: true }).rdev)}`
  })
  const put = (name: string, value: Dict | Dict[]) =>
    writeFileSync(join(state, `${name}.plist`), plistXml(value))
  const base = appleSilicon()
  const cards = ids.filter((id) => id !== 'disk0')
  const records = (mount?: string) =>
    mac(
      'a Mac',
      [
        ...base.disks,
        ...cards.map((id) => piCard(id, CARD_BYTES, mount === undefined ? undefined : `${mount}-${id}`)),
      ],
      [...base.infos, ...cards.map((id) => info(id, 'USB', CARD_BYTES, 'STORAGE DEVICE'))],
      base.root,
    )
  const mounted = records('/Volumes/bootfs')
  put('list', mounted.list)
  put('list-unmounted', records().list)
  for (const [id, dict] of mounted.infos) put(`info-${id.replaceAll('/', '_')}`, dict)
  const media = (first: number) =>
    ['disk0', ...cards].map((id, index) => ({
      'BSD Name': id,
      IORegistryEntryID: first + index,
      Whole: true,
    }))
  put('media', media(4294968000))
  put('other-media', media(4294969000))

  const start = (words: readonly string[], options: Partial<VictimOptions> = {}): Victim =>
    startVictim([...words, '--cluster', project.file('cluster.yaml'), '--cache', project.file('cache')], {
      cwd: project.folder,
      ...options,
      within: [
        'unshare',
        '--mount',
        '--propagation',
        'private',
        'sh',
        '-c',
        ENTER,
        'sh',
        tools,
        dev,
        ...numbers,
        '--',
      ],
      env: { FAKE_MAC: state, NODE_OPTIONS: `--import=${PLATFORM}` },
    })
  return {
    project,
    backing,
    log: () =>
      existsSync(join(state, 'log')) ? readFileSync(join(state, 'log'), 'utf8').trim().split('\n') : [],
    set: (name, value) => writeFileSync(join(state, name), String(value)),
    has: (name) => existsSync(join(state, name)),
    clear: (name) => rmSync(join(state, name)),
    forget: (id) => rmSync(join(state, `info-${id}.plist`)),
    removeDiskutil: () => rmSync(join(tools, 'diskutil')),
    start,
    piimage: (...words) => start(words).ended,
  }
}
