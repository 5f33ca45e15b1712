import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  contains,
  formatCidr,
  formatIpv4,
  lastOf,
  netmaskOf,
  networkOf,
  overlap,
  parseCidr,
  parseIpv4,
  parseIpv4WithPrefix,
} from '../../src/cluster/ipv4.ts'
import { nearest } from '../../src/nearest.ts'

test('the netmask of a prefix', () => {
  assert.deepEqual([0, 1, 8, 20, 24, 30, 31, 32].map(netmaskOf), [
    '0.0.0.0',
    '128.0.0.0',
    '255.0.0.0',
    '255.255.240.0',
    '255.255.255.0',
    '255.255.255.252',
    '255.255.255.254',
    '255.255.255.255',
  ])
})

test('addresses, to the ends of the number range', () => {
  for (const [text, value] of [
    ['0.0.0.0', 0],
    ['127.255.255.255', 0x7fffffff],
    ['128.0.0.0', 0x80000000],
    ['255.255.255.255', 0xffffffff],
  ] as const) {
    assert.equal(parseIpv4(text), value)
    assert.equal(formatIpv4(value), text)
  }
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    '1.2.3.-4',
    '1e1.0.0.0',
    '१.2.3.4',
  ])
    assert.equal(parseIpv4(text), undefined, text)
  for (const text of ['1.2.3.4', '1.2.3.4/33', '1.2.3.4/', '1.2.3.4/-1', '/24'])
    assert.equal(parseIpv4WithPrefix(text), undefined, text)
})

test('networks', () => {
  const network = networkOf(parseIpv4('192.168.1.77') ?? 0, 26)
  assert.equal(formatCidr(network), '192.168.1.64/26')
  assert.equal(formatIpv4(lastOf(network)), '192.168.1.127')
  assert.equal(formatCidr(networkOf(parseIpv4('200.1.2.3') ?? 0, 0)), '0.0.0.0/0')
  assert.equal(formatIpv4(lastOf({ base: 0, prefix: 0 })), '255.255.255.255')
  const cidr = (text: string) => parseCidr(text) ?? assert.fail(text)
  assert.ok(contains(cidr('10.0.0.0/8'), parseIpv4('10.255.255.255') ?? 0))
  assert.ok(!contains(cidr('10.0.0.0/8'), parseIpv4('11.0.0.0') ?? 0))
  assert.ok(overlap(cidr('172.16.0.0/12'), cidr('172.30.5.0/24')))
  assert.ok(overlap(cidr('172.30.5.0/24'), cidr('172.16.0.0/12')))
  assert.ok(!overlap(cidr('172.19.180.0/24'), cidr('172.19.181.0/24')))
})

test('did you mean', () => {
  const cases: [written: string, known: string[], near: string | undefined][] = [
    ['dokcer', ['docker', 'router'], 'docker'],
    ['adress', ['address', 'groups'], 'address'],
    ['pi3', ['pi1', 'pi3b', 'pi3b+'], 'pi3b'],
    ['SSH', ['ssh'], 'ssh'],
    ['colour', ['labels', 'locale'], undefined],
    ['', ['ssh'], undefined],
    ['x'.repeat(101), ['x'.repeat(101)], undefined],
  ]
  for (const [written, known, near] of cases) assert.equal(nearest(written, known), near, written)
})
