/** A command as the caller of a use case: flags → questions answered, events → lines. */
import type { Caller, Question } from '../work/caller.ts'
import type { WorkEvent } from '../work/events.ts'
import type { Context, GlobalArgs } from './command.ts'

/** In words, for people; every event is a line of `--json` besides. */
export type Tellers = {
  [Name in WorkEvent['event']]?: (event: Extract<WorkEvent, { event: Name }>) => unknown
}

/** The flags that every request has. */
export const common = ({ cluster, lock, cache, offline }: GlobalArgs) => ({ cluster, lock, cache, offline })

/** The same for every command that has it. */
export const OS_FLAG = 'System of the image, if it is not recognised: raspios-bookworm …'

export function callerOf(args: GlobalArgs, { world, output }: Context, tell: Tellers = {}): Caller {
  const { cwd, env, platform, now, signal } = world
  return {
    cwd,
    env,
    platform,
    now,
    signal,
    confirm: async (question) => args.yes || world.confirm(await wordsOf(question)),
    onEvent(happened) {
      const { event, ...data } = happened
      if (happened.event === 'progress') return output.progress(happened)
      output.event(event, data)
      if (happened.event === 'note') output.note(happened.message)
      if (happened.event === 'warning')
        output.warn(saysNode(happened) ? happened.message : `${happened.node}: ${happened.message}`)
      ;(tell[event] as ((event: WorkEvent) => unknown) | undefined)?.(happened)
    },
  }
}

async function wordsOf(question: Question): Promise<string> {
  switch (question.about) {
    case 'erase':
      return `Everything on ${question.drives.length === 1 ? 'it' : 'them'} is erased. Go on?`
    case 'card': {
      const { describeDrive } = await import('./describe-drive.ts')
      return `${question.drive} (${describeDrive(question.found, question.was)}) is erased and becomes ${question.node}. Go on?`
    }
    case 'change':
      return 'Go on?'
    case 'replace':
      return `${question.files.join(', ')} will be replaced. Go on?`
    case 'diskless':
      return `${question.nodes.join(', ')} boot${question.nodes.length === 1 ? 's' : ''} from the network and need${question.nodes.length === 1 ? 's' : ''} no card. Make one all the same?`
    case 'leave':
      return `${question.nodes.join(', ')} leave${question.nodes.length === 1 ? 's' : ''} the other cluster and join${question.nodes.length === 1 ? 's' : ''} that of ${question.head}. Go on?`
    case 'remove':
      return `Remove ${question.folder}, with every root and every volume in it?`
  }
}

/** Whether a warning needs no name before it: it is about no node, or says itself about which. */
const saysNode = ({ node, message }: { node?: string; message: string }): boolean =>
  node === undefined || [`${node} `, `nobody can log in to ${node}:`].some((text) => message.startsWith(text))
