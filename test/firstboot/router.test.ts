import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { needTool } from '../support/tools.ts'
import { calls, type FakePi, type FakePiOptions, lay, readRoot, shells, snapshot, stub } from './fake-pi.ts'
import { aptCalls, bringsProgram, note, pi4, readyPi, runStep } from './step.ts'

const settings = 'interface=eth0\nbind-dynamic\nhost-record=oneil,10.3.50.1\n'

/** A Pi that is to route; dnsmasq and iptables are there once apt has brought them. */
function routerPi(t: TestContext, options: FakePiOptions = {}): FakePi | undefined {
  const dnsmasq = needTool(t, 'dnsmasq', 'dnsmasq-base')
  const pi = dnsmasq === undefined ? undefined : readyPi(t, pi4, options)
  if (pi === undefined) return undefined
  lay(pi.root, {
    'opt/piimage/material/router-dnsmasq': settings,
    'etc/systemd/system/piimage-nat.service': '[Service]\n',
  })
  stub(
    pi,
    'apt-get',
    `${note(pi)}
case " $* " in *' install '*dnsmasq*) mkdir -p '${pi.root}/lib/systemd/system'; : >'${pi.root}/lib/systemd/system/dnsmasq.service' ;; esac
${bringsProgram(pi, 'iptables', 'iptables')}`,
  )
  return pi
}

for (const shell of shells)
  test(`router under ${shell}: settings first, then dnsmasq; and again the same`, (t) => {
    const pi = routerPi(t, { shell })
    if (pi === undefined) return
    const ended = runStep(pi, 'router')
    assert.equal(ended.status, 0, ended.output)
    assert.equal(readRoot(pi, 'etc/dnsmasq.d/piimage-router.conf'), settings)
    assert.match(aptCalls(pi).join('\n'), /^update\ninstall --no-install-recommends dnsmasq/)
    for (const unit of ['piimage-nat.service', 'dnsmasq.service'])
      assert.ok(calls(pi).some((call) => call.endsWith(`enable ${unit}`)))
    const before = snapshot(pi.root)
    const asked = aptCalls(pi)
    assert.equal(runStep(pi, 'router').status, 0)
    assert.deepEqual(snapshot(pi.root), before)
    assert.deepEqual(aptCalls(pi), asked)
  })

test('router without internet: the packages of the payload, and only if they are whole', (t) => {
  const pi = routerPi(t)
  if (pi === undefined) return
  const digest = createHash('sha256').update('package').digest('hex')
  const debs = join(pi.root, 'opt/piimage/router/debs')
  lay(debs, { 'dnsmasq.deb': 'pack4ge', SHA256SUMS: `${digest}  dnsmasq.deb\n` })
  assert.match(runStep(pi, 'router').output, /damaged: make the card again/)
  assert.deepEqual(aptCalls(pi), [])
  lay(debs, { 'dnsmasq.deb': 'package' })
  const ended = runStep(pi, 'router')
  assert.equal(ended.status, 0, ended.output)
  assert.deepEqual(aptCalls(pi), [`install --no-install-recommends ${debs}/dnsmasq.deb`])
})

test('router: settings that dnsmasq does not take start nothing', (t) => {
  const pi = routerPi(t)
  if (pi === undefined) return
  lay(pi.root, { 'opt/piimage/material/router-dnsmasq': 'no-such-option\n' })
  const ended = runStep(pi, 'router')
  assert.equal(ended.status, 1)
  assert.match(ended.output, /dnsmasq does not take its settings/)
  assert.ok(!calls(pi).some((call) => call.includes('enable piimage-nat')))
})
