/** `piimage boot` as far as it needs no QEMU. What it starts: test/boot/. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { demoProject } from '../support/project.ts'

test('what names nothing to start is refused', async (t) => {
  const project = demoProject(t)
  for (const [words, says] of [
    [[], /nothing to start/],
    [['oneil', '--as', 'pi9'], /--as pi9 is not a model/],
    [['oneil', '--all'], /--all is every node, and oneil is named besides/],
    [['nobody'], /no node "nobody"/],
    [['./none.img'], /none\.img is not there/],
    [['./demo.img.xz'], /demo\.img\.xz is compressed/],
  ] as const) {
    const said = await project.piimage('boot', ...words)
    assert.equal(said.status, 2, said.stderr)
    assert.match(said.stderr, says)
  }
})

test('a card without a system does not come up, and nothing is started or left', async (t) => {
  const project = demoProject(t)
  const before = readdirSync('/var/tmp').filter((name) => name.startsWith('piimage-boot-'))
  const said = await project.piimage('boot', 'oneil', '--json')
  assert.equal(said.status, 7, said.stderr)
  const booted = said.events.find(({ event }) => event === 'booted')
  assert.deepEqual(
    [booted?.node, booted?.ok, booted?.boots, booted?.problem],
    ['oneil', false, 0, 'there is no system on it'],
  )
  assert.deepEqual(
    readdirSync('/var/tmp').filter((name) => name.startsWith(`piimage-boot-${process.pid}-`)),
    before.filter((name) => name.startsWith(`piimage-boot-${process.pid}-`)),
  )
})
