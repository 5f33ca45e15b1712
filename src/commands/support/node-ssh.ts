/**
 * Commands on the nodes, over the person's own ssh.
 *
 * ssh is told everything in a configuration of its own, written for this run:
 * addresses, the jump through a head that routes, and the host keys derived from
 * the cluster key, so that nothing is asked and nobody else is believed. With
 * `--ssh-config FILE` that file is used instead.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Argv } from 'yargs'
import type { Cluster, Node } from '../../cluster/node.ts'
import type { NodeKeys } from '../../customise/plan-boot.ts'
import { UsageError } from '../../errors.ts'
import { formatKnownHost } from '../../secrets/known-hosts.ts'
import type { GlobalArgs } from '../command.ts'

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
  { cwd, signal }: { cwd: string; signal: AbortSignal },
): Promise<NodeSsh> {
  const folder = await mkdtemp(join(tmpdir(), 'piimage-ssh-'))
  let config = join(folder, 'config')
  if (args.sshConfig === undefined) {
    const knownHosts = join(folder, 'known_hosts')
    await writeFile(knownHosts, cluster.nodes.map((node) => knownLine(node, keys)).join(''))
    await writeFile(
      config,
      formatConfig(cluster, readAddresses(cluster, args.address ?? []), {
        knownHosts,
        ...(args.identity === undefined ? {} : { identity: resolve(cwd, args.identity) }),
      }),
    )
  } else config = resolve(cwd, args.sshConfig)
  return {
    run: (node, command, input) =>
      runSsh(['-F', config, '-T', '-o', 'BatchMode=yes', '-o', 'ConnectTimeout=10', node, command], {
        signal,
        ...(input === undefined ? {} : { input }),
      }),
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

const knownLine = ({ name }: Node, keys: NodeKeys): string =>
  `${formatKnownHost({ names: [name], publicLine: keys.hostKey(name).publicLine })}\n`

function readAddresses(cluster: Cluster, words: readonly string[]): Map<string, string> {
  const known = new Map<string, string>()
  for (const word of words) {
    const [name = '', address = ''] = word.split('=', 2)
    if (!cluster.nodes.some((node) => node.name === name) || !/^[A-Za-z0-9.:_-]+$/.test(address))
      throw new UsageError(`--address ${word} names no node and address`, {
        hint: 'Write --address NODE=192.168.2.11',
      })
    known.set(name, address)
  }
  return known
}

/** A head with a network of its own behind it is reached from outside, and the others by way of it. */
function formatConfig(
  cluster: Cluster,
  known: ReadonlyMap<string, string>,
  { knownHosts, identity }: { knownHosts: string; identity?: string },
): string {
  const gate = cluster.nodes.find((node) => node.router !== undefined || node.clusterHat?.role === 'cnat')
  const blocks = cluster.nodes.map((node) => {
    const outer = node.interfaces.find(({ name }) => name === node.router?.uplink) ?? node.interfaces[0]
    const address = known.get(node.name) ?? outer?.address?.ip ?? `${node.name}.local`
    const jump = gate !== undefined && node !== gate && !known.has(node.name)
    return [
      `Host ${node.name}`,
      `  HostName ${address}`,
      `  HostKeyAlias ${node.name}`,
      ...(node.user === undefined ? [] : [`  User ${node.user.name}`]),
      ...(jump ? [`  ProxyJump ${gate.name}`] : []),
    ].join('\n')
  })
  const shared = [
    'Host *',
    `  UserKnownHostsFile "${knownHosts}"`,
    '  GlobalKnownHostsFile none',
    '  StrictHostKeyChecking yes',
    ...(identity === undefined ? [] : [`  IdentityFile "${identity}"`, '  IdentitiesOnly yes']),
  ].join('\n')
  return `${[...blocks, shared].join('\n\n')}\n`
}

function runSsh(args: readonly string[], { input, signal }: { input?: string; signal: AbortSignal }) {
  return new Promise<Answer>((done, failed) => {
    const child = spawn('ssh', args, { stdio: ['pipe', 'pipe', 'pipe'], signal })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', (error: NodeJS.ErrnoException) =>
      failed(
        error.code === 'ENOENT'
          ? new UsageError('there is no ssh on this machine', { hint: 'Install the OpenSSH client.' })
          : error,
      ),
    )
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
