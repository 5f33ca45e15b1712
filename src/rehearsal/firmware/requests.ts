/**
 * The requests of one board: what it asked for, what it got, and a fault for
 * each file that it can't do without.
 *
 * Boot loaders ask for many files that hardly anybody has (`may`); a server's
 * log is full of those, and they mean nothing.
 */
import type { BootReply, BootSource } from '../boot-source.ts'
import type { BootPhase, Findings } from '../fault.ts'

/** The server is gone; asking on would only wait. */
export class SilentServer extends Error {}

export interface Requests {
  /** Prefix of every path; '' after the board gave its serial number up. */
  prefix: string
  readonly count: number
  readonly bytes: number
  /** Only whether it is there. */
  probe(name: string): Promise<boolean>
  /** A file it can do without: @returns undefined when it isn't there */
  may(name: string): Promise<Uint8Array | undefined>
  /** A file without which it stops here. @param why what it is */
  must(name: string, why: string, step?: BootPhase): Promise<Uint8Array | undefined>
  /** The same file, to a person. */
  placeOf(name: string): string
  /** How to get a file back that is missing. */
  readonly layOut: string
}

/**
 * @param sizeFirst whether each file is asked for twice, first for its size
 * @param layOut how to get a file back that is missing
 */
export function openRequests(
  source: BootSource,
  findings: Findings,
  sizeFirst: boolean,
  layOut: string,
): Requests {
  const requests: Requests & { count: number; bytes: number } = {
    prefix: '',
    count: 0,
    bytes: 0,
    layOut,
    placeOf(name) {
      const path = requests.prefix + name
      const place = source.placeOf(path)
      return place === path ? path : `${path} (${place})`
    },
    probe: async (name) => (await ask(name, 'probe')).kind === 'file',
    may: async (name) => take(await fetch(name)),
    async must(name, why, step: BootPhase = 'firmware') {
      const answer = await fetch(name)
      if (answer.kind === 'missing') findings.fault(step, requests.placeOf(name), `not found: ${why}`, layOut)
      else if (answer.kind === 'file' && answer.bytes.length === 0)
        findings.fault(step, requests.placeOf(name), `empty: ${why}`, layOut)
      return take(answer)
    },
  }

  async function ask(name: string, how: 'probe' | 'read'): Promise<BootReply> {
    const path = requests.prefix + name
    const answer = await source.ask(path, how)
    requests.count += 1
    if (answer.kind === 'silent') throw new SilentServer(path)
    if (answer.kind === 'refused')
      findings.fault(
        'tftp',
        requests.placeOf(name),
        `the server refuses it: ${answer.message}`,
        `chmod a+r ${source.placeOf(path)}, and a+x each folder above it.`,
      )
    return answer
  }

  async function fetch(name: string): Promise<BootReply> {
    const first = sizeFirst ? await ask(name, 'probe') : undefined
    return first !== undefined && first.kind !== 'file' ? first : ask(name, 'read')
  }

  function take(answer: BootReply): Uint8Array | undefined {
    if (answer.kind !== 'file') return undefined
    requests.bytes += answer.bytes.length
    return answer.bytes
  }
  return requests
}
