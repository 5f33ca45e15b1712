/**
 * One node into a file, with progress: piimage as a library. Run it in a folder
 * where piimage is installed (npm install piimage); it needs no network, no
 * hardware and no root: the image ships with piimage.
 */
import { flash } from 'piimage'

const say = (line) => process.stdout.write(`${line}\n`)

const flashed = await flash(
  {
    oneOff: {
      hostname: 'oneil',
      image: 'demo-trixie-arm64-lite@2025-12-05',
      user: 'ops',
      sshKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOBv2xxjxLLiPpuVHul6I9HGcSzaF0d1Erhx8WGo8XWe demo'],
    },
    targets: [{ drive: 'oneil.img' }],
    cache: 'cache',
  },
  {
    onEvent(event) {
      if (event.event === 'progress' && event.bytes === event.totalBytes)
        say(`${event.phase}: ${event.bytes} bytes`)
      if (event.event === 'warning') say(`warning: ${event.message}`)
    },
    confirm: async ({ about }) => about === 'erase' && process.argv.includes('--replace'),
  },
)
say(`flashed ${flashed.flashed.map(({ node, drive }) => `${node} to ${drive}`).join(', ')}`)
