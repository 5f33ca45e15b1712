import assert from 'node:assert/strict'
import { test } from 'node:test'
import { modelOfRevision } from '../../src/cluster/boards.ts'
import { FormatError } from '../../src/errors.ts'
import { BOOT_MENU, faultOfBootMenu } from '../../src/rehearsal/dhcp/boot-menu.ts'
import { discoverOf } from '../../src/rehearsal/dhcp/discover.ts'
import { formatMachineId, readMachineId, readRepeatedSerial } from '../../src/rehearsal/dhcp/machine-id.ts'
import { formatDhcpRequest, OPTION, readDhcpMessage } from '../../src/rehearsal/dhcp/packet.ts'
import { known } from '../support/known.ts'

test('the menu is the one that boards were seen to take, with its three blanks', () => {
  assert.equal(
    Buffer.from(BOOT_MENU).toString('hex'),
    `0601030a0400505845${'0917000014'}${Buffer.from('Raspberry Pi Boot   ').toString('hex')}ff`,
  )
  assert.equal(faultOfBootMenu(BOOT_MENU), undefined)
  const short = Buffer.from(
    '0601030a04005058450914000011526173706265727279205069 20426f6f74ff'.replace(' ', ''),
    'hex',
  )
  assert.match(faultOfBootMenu(short) ?? '', /without the three blanks/)
  assert.match(faultOfBootMenu(BOOT_MENU.slice(1)) ?? '', /34 bytes 01030a.*expected 35 bytes/)
})

test('a Pi 3 always asks with the same number', () => {
  const packet = readDhcpMessage(formatDhcpRequest(discoverOf('pi3b', 'b8:27:eb:01:02:03', '00010203', 7)))
  assert.equal(packet.xid, 0x26f30339)
  assert.equal(packet.mac, 'b8:27:eb:01:02:03')
  assert.equal(
    Buffer.from(packet.options.get(OPTION.machineId) ?? '').toString('hex'),
    `00${'44'.repeat(16)}`,
  )
  assert.equal(discoverOf('pi4', 'dc:a6:32:01:02:03', '00010203', 7).xid, 7)
})

test('option 97 of a Pi 4, as a published log has it', () => {
  const seen = Buffer.from('00525069341131a000322ef8ed10', 'hex')
  assert.deepEqual(known(readMachineId(seen)), { revision: 0xa03111, macEnd: '32:2e:f8:ed' })
  assert.equal(modelOfRevision(0xa03111), 'pi4')
  const whole = formatMachineId('RPi4', 0xa03111, 'dc:a6:32:2e:f8:ed', '5b154510')
  assert.equal(Buffer.from(whole).subarray(0, 14).toString('hex'), seen.toString('hex'))
  assert.equal(readMachineId(whole)?.serial, '5b154510')
})

test('option 97 of the boards before it', () => {
  assert.equal(readMachineId(formatMachineId('constant', 0, 'b8:27:eb:01:02:03', '00010203')), undefined)
  assert.equal(readRepeatedSerial(formatMachineId('serial', 0, 'b8:27:eb:01:02:03', '71d38578')), '71d38578')
  assert.equal(readRepeatedSerial(formatMachineId('constant', 0, 'b8:27:eb:01:02:03', '71d38578')), undefined)
})

test('revision codes of the old style name no model', () => {
  assert.equal(modelOfRevision(0x000e), undefined)
  assert.equal(modelOfRevision(0xd04170), 'pi5')
})

test('a packet cut off anywhere is refused or read as what is left', () => {
  const whole = formatDhcpRequest(discoverOf('pi5', '2c:cf:67:01:02:03', 'a1b2c3d4', 9))
  for (let length = 0; length < whole.length; length++) {
    try {
      assert.equal(readDhcpMessage(whole.subarray(0, length)).xid, 9)
    } catch (error) {
      assert.ok(error instanceof FormatError, String(error))
    }
  }
})
