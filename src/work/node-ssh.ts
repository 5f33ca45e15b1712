/**
 * Commands on the nodes, over the person's own ssh.
 *
 * ssh is told everything in a configuration of its own, the one that `piimage
 * export` makes, written for this run: addresses, the jump through a head that
 * routes, and the host keys derived from the cluster key, so that nothing is
 * asked and nobody else is believed. With `--ssh-config FILE` that file is used.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Argv } from 'yargs'
import type { Cluster } from '../cluster/node.ts'
import { parseAddresses } from '../commands/addresses.ts'
import type { GlobalArgs } from '../commands/command.ts'
import { UsageError } from '../errors.ts'
import { findIdentityFiles } from '../export/identity-file.ts'
import { formatKnownHosts } from '../export/known-hosts.ts'
import { formatSshConfig } from '../export/ssh-config.ts'
import { listDead, ownName } from '../io/parts.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'
import type { World } from '../world.ts'

/** Flags of every command that talks to nodes. */
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

export interface Answer {
  /** 255 is ssh's own: the node was not reached or did not let us in. */
  status: number
  stdout: string
  stderr: string
}

export interface NodeSsh {
  /** Run a shell command on a node. `input` goes to its standard input. */
  run(node: string, command: string, input?: string): Promise<Answer>
  close(): Promise<void>
}

export async function openNodeSsh(
  cluster: Cluster,
  keys: NodeKeys,
  args: SshArgs,
  { cwd, env, signal }: Pick<World, 'cwd' | 'env' | 'signal'>,
): Promise<NodeSsh> {
  await clearDeadFolders()
  const folder = await mkdtemp(join(tmpdir(), `${ownName(FOLDER)}-`))
  let config = join(folder, 'config')
  if (args.sshConfig === undefined) {
    const knownHosts = join(folder, 'known_hosts')
    const addresses = parseAddresses(args.address ?? [], cluster)
    const identity = args.identity === undefined ? undefined : resolve(cwd, args.identity)
    await writeFile(
      knownHosts,
      formatKnownHosts(cluster, (node) => keys.hostKey(node).publicLine, addresses),
    )
    await writeFile(
      config,
      formatSshConfig(cluster, {
        knownHosts,
        addresses,
        identityFile: identity === undefined ? findIdentityFiles(env.HOME ?? '/') : () => identity,
      }),
    )
  } else config = resolve(cwd, args.sshConfig)
  return {
    run: (node, command, input) =>
      runSsh(
        [
          '-F',
          config,
          '-T',
          ...['BatchMode=yes', ...LIMITS].flatMap((limit) => ['-o', limit]),
          node,
          command,
        ],
        { signal, input },
      ),
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Configurations lie in folders whose names begin so. */
const FOLDER = 'piimage-ssh-'

/** What killed processes left. */
async function clearDeadFolders(): Promise<void> {
  // Somebody else's may not be removed, and need not be.
  for (const name of await listDead(tmpdir(), FOLDER))
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {})
}

/** A node that goes silent in the middle is given up after a minute. */
const LIMITS = ['ConnectTimeout=10', 'ServerAliveInterval=15', 'ServerAliveCountMax=4']

function runSsh(args: readonly string[], { input, signal }: { input?: string; signal: AbortSignal }) {
  return new Promise<Answer>((done, failed) => {
    const child = spawn('ssh', args, { stdio: ['pipe', 'pipe', 'pipe'], signal })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) return failed(signal.reason)
      return failed(
        error.code === 'ENOENT'
          ? new UsageError('there is no ssh on this machine', { hint: 'Install the OpenSSH client.' })
          : error,
      )
    })
    child.on('close', (status) => done({ status: status ?? 255, stdout, stderr }))
    // A node that is not reached never reads it.
    child.stdin.on('error', () => {})
    child.stdin.end(input ?? '')
  })
}

/** What went wrong, in ssh's or the node's own last words. */
export const lastWords = ({ stderr }: Answer): string =>
  stderr
    .trim()
    .split('\n')
    .at(-1)
    ?.replaceAll(/SWMTKN-[-0-9A-Za-z]*/g, '<token>') || 'no reason was given'
