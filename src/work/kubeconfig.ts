/**
 * The administrator's kubeconfig, fetched from the head over ssh. The key in it
 * goes through this program's memory and the connection; it is on no command line.
 */
import type { Cluster, Node } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'
import { formatKubeconfig } from '../export/kubeconfig.ts'
import { features, joinFeature } from '../features/index.ts'
import type { NodeKeys } from '../secrets/node-keys.ts'
import type { Caller } from './caller.ts'
import { lastWords, openNodeSsh, type SshOptions } from './node-ssh.ts'
import { askNode, hasFinished } from './node-status.ts'
import { findNode } from './project.ts'

export interface KubeconfigOptions extends SshOptions {
  nodes?: readonly string[]
  /** Where the API is reached, if not at the head's own address. */
  server?: string
}

/**
 * @returns the text, and the head's address in the cluster's network
 * @throws {UsageError} no Kubernetes, another node than its head, or a head that is not done
 * @throws {FormatError} what the head has is no kubeconfig
 */
export async function fetchKubeconfig(
  cluster: Cluster,
  keys: () => Promise<NodeKeys>,
  options: KubeconfigOptions,
  caller: Caller,
): Promise<{ text: string; head: Node; address: string }> {
  const { head, place } = findKubeconfig(cluster, options.nodes)
  const address = head.interfaces[0]?.address?.ip ?? head.name
  const server =
    options.server === undefined || options.server === address
      ? { host: address }
      : { host: readServer(options.server), certifiedAs: address }
  const ssh = await openNodeSsh(cluster, await keys(), options, caller)
  try {
    const { status } = await askNode(ssh, head.name)
    if (!status.reached)
      throw new UsageError(`the head ${head.name} was not reached: ${status.problem}`, {
        hint: `Is it on? If it has another address: --address ${head.name}=ADDRESS`,
      })
    if (!hasFinished(status)) {
      const { firstBoot } = status
      const at = firstBoot === undefined ? 'it has not begun' : `${firstBoot.step} ${firstBoot.state}`
      throw new UsageError(
        `the head ${head.name} is not done with its first boot: ${at}${firstBoot?.detail ? `: ${firstBoot.detail}` : ''}`,
        { hint: 'piimage status shows how far every node is. Run this again when the head is done.' },
      )
    }
    const answer = await ssh.run(head.name, `sudo -n cat ${place}`)
    if (answer.status !== 0)
      throw new UsageError(`the head ${head.name} does not give ${place}: ${lastWords(answer)}`, {
        hint: 'It is read with sudo -n: the user needs sudo without a password, as by default.',
      })
    return {
      text: formatKubeconfig(answer.stdout, `${place} on ${head.name}`, cluster, server),
      head,
      address,
    }
  } finally {
    await ssh.close()
  }
}

function findKubeconfig(
  cluster: Cluster,
  names: readonly string[] | undefined,
): { head: Node; place: string } {
  const { kind, head } = cluster.join
  const place = joinFeature(kind)?.join?.kubeconfig
  if (place === undefined || head === undefined) {
    const kinds = features.filter(({ join }) => join?.kubeconfig !== undefined).map(({ name }) => name)
    throw new UsageError(
      `${cluster.file}: join.kind is ${kind}, and only ${kinds.join(' and ')} have a kubeconfig`,
      { hint: `Say join: { kind: ${kinds.join(' or ')}, head: NODE }.` },
    )
  }
  for (const name of names ?? [])
    if (findNode(cluster, name).name !== head)
      throw new UsageError(`${name} is not the head; the kubeconfig is on ${head}`, {
        hint: 'Leave --node out.',
      })
  return { head: findNode(cluster, head), place }
}

/** @throws {UsageError} no name or address */
function readServer(host: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(host)) return host
  throw new UsageError(`--server ${host} is not a host name or an address`, {
    hint: 'For example --server 127.0.0.1',
  })
}
