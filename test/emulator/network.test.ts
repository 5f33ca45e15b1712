import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { parseIpv4 } from '../../src/cluster/ipv4.ts'
import { networkCard, userNetwork } from '../../src/emulator/network.ts'
import { Switch } from '../../src/emulator/switch.ts'
import { tempFolder } from '../support/temp.ts'

const subnet = { address: parseIpv4('192.168.2.11') ?? 0, prefix: 24 }

test('the gateway is where guests look for it, unless one of them is it', () => {
  const taken = ['192.168.2.11']
  const forwards = [{ port: 2222, address: '192.168.2.11' }]
  assert.equal(
    userNetwork('net', { subnet, gateway: '192.168.2.1', taken, open: false, forwards }),
    'user,id=net,restrict=on,net=192.168.2.0/24,host=192.168.2.1,dns=192.168.2.254,dhcpstart=192.168.2.12,hostfwd=tcp:127.0.0.1:2222-192.168.2.11:22',
  )
  assert.match(
    userNetwork('net', { subnet, gateway: '192.168.2.11', taken, open: true, forwards: [] }),
    /restrict=off,.*host=192\.168\.2\.254,dns=192\.168\.2\.253/,
  )
})

test('a guest without an address is found where it is given one', () => {
  assert.equal(
    userNetwork('net', { taken: [], open: false, forwards: [{ port: 2222 }] }),
    'user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:2222-:22',
  )
})

test('the boards’ machines have the network on USB', () => {
  assert.match(networkCard('virt', 'net', 'b8:27:eb:00:00:01').join(' '), /virtio-net-pci,netdev=net,mac=b8/)
  assert.match(networkCard('raspi3b', 'net', 'b8:27:eb:00:00:01').join(' '), /usb-net,netdev=net,mac=b8/)
})

const frame = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'latin1')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

test('what one guest says all others hear, in whole frames', async (t) => {
  const path = join(tempFolder(t), 'switch')
  const lan = await Switch.open(path)
  const heard: Buffer[] = [Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0)]
  const guests: Socket[] = []
  for (const index of [0, 1, 2]) {
    const socket = connect(path)
    await once(socket, 'connect')
    socket.on('data', (bytes: Buffer) => (heard[index] = Buffer.concat([heard[index] as Buffer, bytes])))
    guests.push(socket)
  }
  const [one, two] = guests as [Socket, Socket, Socket]
  // Half a frame is held back until the rest has come, and another's comes between.
  const long = frame('from one, in two pieces')
  one.write(long.subarray(0, 10))
  await new Promise((done) => setTimeout(done, 50))
  two.write(frame('from two'))
  await new Promise((done) => setTimeout(done, 50))
  one.write(long.subarray(10))
  const want = Buffer.concat([frame('from two'), long])
  while ((heard[2] as Buffer).length < want.length) await new Promise((done) => setTimeout(done, 10))
  assert.deepEqual(heard[2], want)
  assert.deepEqual(heard[0], frame('from two'), 'nobody hears himself')
  assert.deepEqual(heard[1], long)
  // Whose address was heard is told alone.
  const [a, b] = ['02aaaaaaaaaa', '02bbbbbbbbbb']
  const ethernet = (to: string, from: string) => frame(Buffer.from(to + from, 'hex').toString('latin1'))
  const third = guests[2] as Socket
  one.write(ethernet('ffffffffffff', a as string))
  const broadcast = ethernet('ffffffffffff', a as string)
  while ((heard[2] as Buffer).length < want.length + broadcast.length)
    await new Promise((done) => setTimeout(done, 10))
  const before = (heard[1] as Buffer).length
  third.write(ethernet(a as string, b as string))
  while ((heard[0] as Buffer).length < frame('from two').length + broadcast.length)
    await new Promise((done) => setTimeout(done, 10))
  assert.equal((heard[1] as Buffer).length, before, 'the second one does not hear it')
  // One that says something impossible is pulled out.
  two.on('error', () => {})
  two.write(Buffer.from([0xff, 0xff, 0xff, 0xff]))
  await once(two, 'close')
  for (const guest of guests) guest.destroy()
  await lan.close()
})
