/** Listens for boards, then looks around, as a program on a server: file with a ServedCluster, log → Look. */
import { readFileSync } from 'node:fs'
import { listenForBoards } from '../../src/rehearsal/live/listen.ts'
import { lookAround } from '../../src/rehearsal/live/look.ts'

const [input = '', log] = process.argv.slice(2)
const listener = await listenForBoards()
process.stderr.write('listening\n')
process.once('SIGUSR2', async () => {
  const look = await lookAround(JSON.parse(readFileSync(input, 'utf8')), log, listener.heard, new Date())
  process.stdout.write(JSON.stringify(look), () => process.exit())
})
setInterval(() => {}, 1000)
