/** `copy:` of a program: it runs on the image's kind of processor, and is the one that it should be. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { standInProgram } from '../support/program.ts'
import { demoProject } from '../support/project.ts'

const [ARM, ARM64, X86, X86_64, RISC_V] = [40, 183, 3, 62, 243]
const K3S = 'v1.33.4+k3s1'

const cases: [what: string, bytes: Buffer, says: RegExp | undefined][] = [
  ['k3s for arm64', standInProgram(K3S, ARM64), undefined],
  ['five bytes of text', Buffer.from('k3s!\n'), /k3s-program is not a program/],
  ['nothing', Buffer.alloc(0), /k3s-program is not a program/],
  ['an error page', Buffer.from('<!DOCTYPE html><title>404</title>'), /is not a program/],
  ['a header cut off', standInProgram(K3S, ARM64).subarray(0, 12), /is not a program/],
  ['k3s for another machine', standInProgram(K3S, X86_64), /a program for x86-64, and the image is arm64/],
  ['an old PC', standInProgram(K3S, X86), /a program for x86, and the image is arm64/],
  ['RISC-V', standInProgram(K3S, RISC_V), /a program for RISC-V, and the image is arm64/],
  ['the 32-bit one', standInProgram(K3S, ARM), /a program for arm, and the image is arm64/],
  ['another program', standInProgram('v1.33.4', ARM64), /is another program: "\+k3s" is not in it/],
]

for (const [what, bytes, says] of cases)
  test(`binary: of k3s: ${what}`, async (t) => {
    const project = demoProject(t)
    const text = readFileSync(project.file('cluster.yaml'), 'utf8')
    writeFileSync(
      project.file('cluster.yaml'),
      text
        .replace('  - ssh\n', '  - ssh\n  - k3s: { binary: k3s-program }\n')
        .replace('\noverlays:', '\njoin: { kind: k3s, head: hammond }\n\noverlays:'),
    )
    writeFileSync(project.file('k3s-program'), bytes)
    const said = await project.piimage('plan', '--node', 'oneil')
    assert.equal(said.status, says === undefined ? 0 : 2, said.stderr)
    if (says !== undefined) assert.match(said.stderr, says)
  })
