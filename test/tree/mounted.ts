/** Everything that the system's own tools say of a tree, as one text to compare. */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { needRoot, needTool, run } from '../support/tools.ts'

/** Whether the machine can judge trees. */
export function canJudge(t: TestContext): boolean {
  return (
    needRoot(t) &&
    needTool(t, 'getfattr', 'attr') !== undefined &&
    needTool(t, 'setfacl', 'acl') !== undefined &&
    needTool(t, 'setcap', 'libcap2-bin') !== undefined
  )
}

export interface TreeText {
  /** One line per entry: type, mode, owner, time, link count, size of files, device, link target. */
  entries: string[]
  contents: string
  xattrs: string
  acls: string
  /** Path → bytes in use. */
  used: Map<string, number>
}

/** @param not names in the top folder to leave out */
export function describeTree(folder: string, not: readonly string[] = []): TreeText {
  const shell = (script: string) => {
    const ran = run('bash', ['-c', `set -o pipefail; cd "$0" && ${script}`, folder])
    assert.equal(ran.status, 0, ran.stderr)
    return ran.stdout
  }
  const prune = not.map((name) => `-path ./${name} -prune -o`).join(' ')
  // A directory's size and link count are the file system's own business.
  const files = `-not -type d -printf '%p %y %m %U:%G %T@ %n %s %l\\0'`
  const entries = shell(`find . ${prune} -type d -printf '%p %y %m %U:%G %T@\\0' -o ${files}`).split('\0')
  const devices = shell(`find . ${prune} \\( -type c -o -type b \\) -print0 | xargs -r0 stat -c '%n %t:%T'`)
  const all = `find . ${prune} -print0 | sort -z`
  const used = shell(`find . ${prune} -type f -printf '%b %p\\0'`).split('\0').slice(0, -1)
  return {
    entries: [...entries.sort(), ...devices.split('\n').sort()],
    contents: shell(`find . ${prune} -type f -print0 | sort -z | xargs -r0 sha256sum`),
    xattrs: shell(`${all} | xargs -r0 getfattr -h -d -m - -e hex`),
    acls: shell(`find . ${prune} -not -type l -print0 | sort -z | xargs -r0 getfacl -n -p`),
    used: new Map(
      used.map((line) => {
        const space = line.indexOf(' ')
        return [line.slice(space + 1), Number(line.slice(0, space)) * 512]
      }),
    ),
  }
}

/** @param actual must not take more room than `expected` does, save for larger blocks */
export function assertSameTree(actual: TreeText, expected: TreeText): void {
  assert.deepEqual(actual.entries, expected.entries)
  assert.equal(actual.contents, expected.contents)
  assert.equal(actual.xattrs, expected.xattrs)
  assert.equal(actual.acls, expected.acls)
}
