/**
 * The process that plays one node. It is started in a network namespace of its
 * own; when its parent has put an interface there, it is told whom to play.
 */
import { rehearseNode } from '../rehearse-node.ts'
import type { StageAnswer, StageTask } from './stage.ts'
import { mustRunTool, withoutIpv6 } from './tools.ts'

const say = (answer: StageAnswer): void => void process.send?.(answer)

process.once('message', (task: StageTask) => {
  play(task).then(
    (rehearsed) => say({ rehearsed }),
    (error: Error) => say({ failed: error.stack ?? error.message }),
  )
})
// A parent that is gone leaves nobody to play for.
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))
say('ready')

async function play({ served, node, mac }: StageTask) {
  const ip = (...args: string[]) => mustRunTool('ip', args)
  await ip('link', 'set', 'lo', 'up')
  await withoutIpv6('eth0')
  await ip('link', 'set', 'eth0', 'up')
  // Without an address a broadcast needs a route all the same.
  await ip('route', 'add', 'default', 'dev', 'eth0', 'scope', 'link')
  return rehearseNode(served, node, {
    mac,
    async takeAddress() {
      await ip('route', 'del', 'default')
      await ip('address', 'add', `${node.ip}/${served.server.prefix}`, 'dev', 'eth0')
    },
  })
}
