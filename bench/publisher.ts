/**
 * A publisher at the other end of a slow line: serves one file at a rate, and
 * runs a command meanwhile.
 *
 *     node build/bench/publisher.js PROJECT FILE BYTES_PER_SECOND SCRIPT
 *
 * SCRIPT is for `sh -c`; PROJECT/publisher.lock.json is PROJECT's lock with the
 * file's address in it.
 */
import { spawn } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const [project = '', file = '', rate = '', script = ''] = process.argv.slice(2)

/** How often some of it is sent. */
const TICK_MS = 20

async function send(response: ServerResponse): Promise<void> {
  const handle = await open(file)
  const { size } = statSync(file)
  response.writeHead(200, { 'content-length': size, etag: '"bench"' })
  const started = performance.now()
  for (let at = 0; at < size && !response.destroyed; ) {
    const due = Math.min(size, Math.ceil(((performance.now() - started + TICK_MS) / 1000) * Number(rate)))
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(due - at), 0, due - at, at)
    at += bytesRead
    if (!response.write(buffer.subarray(0, bytesRead)))
      await new Promise<void>((ready) => {
        response.once('drain', ready)
        response.once('close', ready)
      })
    await sleep(TICK_MS)
  }
  response.end()
  await handle.close()
}

const server = createServer((_, response) => void send(response))
await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready))
const { port } = server.address() as AddressInfo
const lock = JSON.parse(readFileSync(join(project, 'images.lock.json'), 'utf8'))
for (const image of Object.values<{ url: string }>(lock.images))
  image.url = `http://127.0.0.1:${port}/image.img.xz`
writeFileSync(join(project, 'publisher.lock.json'), JSON.stringify(lock))
spawn('sh', ['-c', script], { stdio: 'inherit' }).on('close', (status) => {
  server.close()
  server.closeAllConnections()
  process.exitCode = status ?? 1
})
