/** Flags of every command that talks to nodes. */
import type { Argv } from 'yargs'
import { UsageError } from '../errors.ts'
import type { SshOptions } from '../work/node-ssh.ts'
import type { GlobalArgs } from './command.ts'

export interface SshArgs {
  identity?: string
  address?: string[]
  sshConfig?: string
}

export const sshFlags = <T extends GlobalArgs>(cli: Argv<T>): Argv<T & SshArgs> =>
  cli
    .option('identity', { type: 'string', describe: 'Private key to log in with (default: as ssh does)' })
    .option('address', {
      type: 'string',
      array: true,
      nargs: 1,
      describe: 'NODE=ADDRESS, where it is another one than in the cluster file',
    })
    .option('ssh-config', { type: 'string', describe: 'Use this ssh configuration, as piimage export makes' })

/** @throws {UsageError} an address that is none */
export const sshOptions = ({ identity, address = [], sshConfig }: SshArgs): SshOptions => ({
  identity,
  addresses: parseAddresses(address),
  sshConfig,
})

/** `NODE=ADDRESS`, again and again. */
function parseAddresses(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const [, name = '', address = ''] = /^([^=]*)=(.*)$/.exec(word) ?? []
      if (!/^[A-Za-z0-9][A-Za-z0-9.:_-]*$/.test(address))
        throw new UsageError(`--address ${word} is not NODE=ADDRESS`, {
          hint: 'For example --address pi1=192.168.1.7',
        })
      return [name, address]
    }),
  )
}
