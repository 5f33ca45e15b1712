/**
 * A board that has just been switched on, as a program of its own (it runs in a
 * network namespace): one DISCOVER as a Pi's boot ROM sends it, and all offers.
 *
 * Sources: RFC 2131; the options are those of a Pi's ROM.
 */
import { createSocket } from 'node:dgram'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Question {
  mac: string
  /** Stop after so many offers, or when time is up. */
  offers: number
  waitMs: number
  /** false: an ordinary client, not a boot ROM. */
  pxe?: boolean
  /** Hex; some clients name themselves. */
  clientId?: string
}

export interface Offer {
  from: string
  yiaddr: string
  siaddr: string
  /** Number → hex. */
  options: Record<number, string>
}

const XID = 0x26f30339

function discover({ mac, pxe = true, clientId }: Question): Buffer {
  const head = Buffer.alloc(240)
  head.set([1, 1, 6, 0])
  head.writeUInt32BE(XID, 4)
  // Answers to everybody, because this board has no address yet.
  head.writeUInt16BE(0x8000, 10)
  head.set(Buffer.from(mac.replaceAll(':', ''), 'hex'), 28)
  head.writeUInt32BE(0x63825363, 236)
  const option = (code: number, value: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from([code, value.length]), value])
  const rom = [
    option(60, Buffer.from('PXEClient:Arch:00000:UNDI:002001')),
    option(93, Buffer.from([0, 0])),
    option(94, Buffer.from([1, 2, 1])),
    option(97, Buffer.alloc(17, 0x44).fill(0, 0, 1)),
  ]
  return Buffer.concat([
    head,
    option(53, Buffer.from([1])),
    option(55, Buffer.from([1, 3, 6, 15, 43, 60, 66, 67, 128, 129, 130, 131, 132, 133, 134, 135])),
    ...(clientId === undefined ? [] : [option(61, Buffer.from(clientId, 'hex'))]),
    ...(pxe ? rom : []),
    Buffer.from([255]),
    Buffer.alloc(64),
  ])
}

function readOffer(packet: Buffer, from: string): Offer {
  const address = (offset: number): string => [...packet.subarray(offset, offset + 4)].join('.')
  const options: Record<number, string> = {}
  for (let offset = 240; offset < packet.length && packet[offset] !== 255; ) {
    const length = packet[offset] === 0 ? -1 : (packet[offset + 1] ?? 0)
    if (length >= 0)
      options[packet[offset] ?? 0] = packet.subarray(offset + 2, offset + 2 + length).toString('hex')
    offset += length + 2
  }
  return { from, yiaddr: address(16), siaddr: address(20), options }
}

const question = JSON.parse(process.argv[2] ?? '{}') as Question
const socket = createSocket({ type: 'udp4', reuseAddr: true })
await new Promise<void>((resolve) => socket.bind(68, '0.0.0.0', resolve))
socket.setBroadcast(true)
const offers: Offer[] = []
const enough = new AbortController()
socket.on('message', (packet, { address }) => {
  if (packet.readUInt32BE(4) !== XID || packet[0] !== 2) return
  offers.push(readOffer(packet, address))
  if (offers.length >= question.offers) enough.abort()
})
socket.send(discover(question), 67, '255.255.255.255')
await sleep(question.waitMs, undefined, { signal: enough.signal }).catch(() => {})
socket.close()
process.stdout.write(JSON.stringify(offers))
