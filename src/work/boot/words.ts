/** What `boot` tells, a line each. */
import type { BootEvent, BootVerdict } from '../events.ts'

export function describeBootEvent(happened: BootEvent): string {
  const { node } = happened
  switch (happened.event) {
    case 'boot-start':
      return `${node}: a ${happened.model} on QEMU's ${happened.machine}: ${happened.why}`
    case 'boot-step':
      return `${node}: ${happened.seconds} s: ${happened.step}`
    case 'console':
      return `${node}| ${happened.line}`
    case 'kept':
      return `${node} runs until Ctrl-C: ${happened.ssh}`
    case 'booted':
      return `${node}: ${describeVerdict(happened)}`
  }
}

const describeVerdict = ({ ok, seconds, checks, problem }: BootVerdict): string =>
  ok
    ? `yes, in ${seconds} s: ${checks.map(({ what, found }) => `${what} ${found}`).join(', ')}`
    : `no: ${problem}`
