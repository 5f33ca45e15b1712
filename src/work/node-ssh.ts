/**
 * Commands on the nodes, over the person's own ssh.
 *
 * ssh is told everything in a configuration of its own, the one that `piimage
 * export` makes, written for this run: addresses, the jump through a head that
 * routes, and the host keys derived from the cluster key, so that nothing is
 * asked and nobody else is believed. With `--ssh-config FILE` that file is used.
 */
import { spawn } from 'node:child_process'
import { lstat, mkdtemp, rm, rmdir, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Cluster } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import { findIdentityFiles } from '../export/identity-file.ts'
import { formatKnownHosts } from '../export/known-hosts.ts'
import type { KnownAddresses } from '../export/reach.ts'
import { formatSshConfig } from '../export/ssh-config.ts'
import { listDead, ownName } from '../io/parts.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'
import { formatBytes, MiB } from '../units.ts'
import type { Caller } from './caller.ts'
import { findNode } from './project.ts'

/** How nodes are reached over ssh. */
export interface SshOptions {
  /** Private key to log in with. Default: as ssh does. */
  identity?: string
  /** Where nodes are, by name, if elsewhere than the cluster file says. */
  addresses?: Readonly<Record<string, string>>
  /** Use this ssh configuration, as `piimage export ssh-config` makes. */
  sshConfig?: string
}

/** @throws {UsageError} a node that is not there */
export const knownAddresses = (cluster: Cluster, { addresses = {} }: SshOptions): KnownAddresses =>
  new Map(Object.entries(addresses).map(([name, address]) => [findNode(cluster, name).name, address]))

export interface SshResult {
  /** 255 is ssh's own: the node was not reached or did not let us in. */
  status: number
  stdout: string
  stderr: string
}

export interface NodeSsh {
  /** Run a shell command on a node. `input` goes to its standard input. */
  run(node: string, command: string, input?: string): Promise<SshResult>
  close(): Promise<void>
}

export async function openNodeSsh(
  cluster: Cluster,
  keys: NodeKeys,
  options: SshOptions,
  { cwd, env, signal }: Pick<Caller, 'cwd' | 'env' | 'signal'>,
): Promise<NodeSsh> {
  await clearDeadFolders()
  const folder = await mkdtemp(join(tmpdir(), `${ownName(FOLDER)}-`))
  let config = join(folder, 'config')
  if (options.sshConfig === undefined) {
    const knownHosts = join(folder, 'known_hosts')
    const addresses = knownAddresses(cluster, options)
    const identity = options.identity === undefined ? undefined : resolve(cwd, options.identity)
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
  } else config = resolve(cwd, options.sshConfig)
  return {
    run: sshBy(config, signal),
    close: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Commands on the hosts of an ssh configuration. @param connectSeconds for the connection and its keys */
export const sshBy =
  (config: string, signal: AbortSignal, connectSeconds = 10): NodeSsh['run'] =>
  (node, command, input) => {
    const limits = ['BatchMode=yes', `ConnectTimeout=${connectSeconds}`, ...LIMITS]
    const words = ['-F', config, '-T', ...limits.flatMap((limit) => ['-o', limit]), node, command]
    return runSsh(words, { signal, input })
  }

/** A kubeconfig has about 6 kB, a journal's tail less. */
const LONGEST_ANSWER = 4 * MiB

/** Configurations lie in folders whose names begin so. */
const FOLDER = 'piimage-ssh-'

/** What killed processes left. */
async function clearDeadFolders(): Promise<void> {
  for (const name of await listDead(tmpdir(), FOLDER)) {
    const folder = join(tmpdir(), name)
    const found = await lstat(folder).catch(() => undefined)
    // Anybody can give a folder such a name: what is not one's own alone is left, and nothing else in it is followed.
    if (found?.isDirectory() !== true || found.uid !== process.geteuid?.() || (found.mode & 0o077) !== 0)
      continue
    for (const file of ['config', 'known_hosts']) await unlink(join(folder, file)).catch(() => {})
    await rmdir(folder).catch(() => {})
  }
}

/** A node that goes silent in the middle is given up after a minute. */
const LIMITS = ['ServerAliveInterval=15', 'ServerAliveCountMax=4']

function runSsh(args: readonly string[], { input, signal }: { input?: string; signal: AbortSignal }) {
  return new Promise<SshResult>((done, failed) => {
    const child = spawn('ssh', args, { stdio: ['pipe', 'pipe', 'pipe'], signal })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text
      stopWhenLong(stdout)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
      stopWhenLong(stderr)
    })
    // A node answers in a few lines; one that goes on is cut off, and counts as not reached.
    const stopWhenLong = (text: string) => {
      if (text.length <= LONGEST_ANSWER || child.killed) return
      stdout = ''
      stderr = `its answer is longer than ${formatBytes(LONGEST_ANSWER)}`
      child.kill('SIGKILL')
      done({ status: 255, stdout, stderr })
    }
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
export const lastWords = ({ stderr }: SshResult): string =>
  stderr
    .trim()
    .split('\n')
    .at(-1)
    ?.replaceAll(/SWMTKN-[-0-9A-Za-z]*/g, '<token>') || 'no reason was given'
