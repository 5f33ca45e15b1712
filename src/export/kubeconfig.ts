/**
 * The kubeconfig of a head, as one's own kubectl wants it: reached from outside,
 * and named after the cluster, so that several fit into one file.
 *
 * Not here: how it is fetched (src/work/kubeconfig.ts).
 * Source: the kubeconfig of the Kubernetes API, `v1` `Config`.
 */
import { parse, stringify } from 'yaml'
import type { Cluster } from '../cluster/node.ts'
import { FormatError } from '../errors.ts'
import { formatHeading } from './heading.ts'

/** Where the API is looked for. */
export interface ApiServer {
  /** A name or an IPv4 address; the port stays the head's own. */
  host: string
  /** The name that stands in the server's certificate, where that is another one. */
  certifiedAs?: string
}

/**
 * @param text the administrator's, as the head keeps it
 * @param from where that was, for the message
 * @returns the text of a kubeconfig, ending in a newline; it holds an administrator's private key
 * @throws {FormatError} not a kubeconfig with one way in
 */
export function formatKubeconfig(text: string, from: string, cluster: Cluster, server: ApiServer): string {
  const config = readYaml(text)
  const context = find(config, 'contexts', 'context', config?.['current-context'])
  const endpoint = find(config, 'clusters', 'cluster', context?.cluster)
  const user = find(config, 'users', 'user', context?.user)
  const port = /^https:\/\/[^/]+:(\d+)\/?$/.exec(String(endpoint?.server))?.[1]
  if (endpoint === undefined || user === undefined || port === undefined)
    throw new FormatError(`${from} is not a kubeconfig: it names no server with its user`, {
      hint: 'Look at it on the head: sudo kubectl --kubeconfig FILE config view',
    })
  const { name } = cluster
  // What a head keeps is not to run a program here, nor to lead kubectl elsewhere.
  allowOnly(from, endpoint, ['server', 'certificate-authority-data', 'tls-server-name'])
  allowOnly(from, user, ['client-certificate-data', 'client-key-data', 'token'])
  const reached = {
    ...endpoint,
    server: `https://${server.host}:${port}`,
    'tls-server-name': server.certifiedAs ?? endpoint['tls-server-name'],
  }
  const made = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: reached }],
    users: [{ name: `${name}-admin`, user }],
    contexts: [{ name, context: { cluster: name, user: `${name}-admin` } }],
    'current-context': name,
  }
  return `${formatHeading('kubeconfig', cluster, 'export kubeconfig')}\n${stringify(made, { lineWidth: 0 })}`
}

/** @throws {FormatError} a setting besides those, or one that is no text */
function allowOnly(from: string, settings: Fields, names: readonly string[]): void {
  const other = Object.entries(settings).find(
    ([name, value]) => !names.includes(name) || typeof value !== 'string',
  )
  if (other === undefined) return
  throw new FormatError(
    `${from} has the setting ${JSON.stringify(other[0])}, which an administrator's own kubeconfig has not`,
    {
      hint: 'Was the head tampered with? Look at it there: sudo kubectl --kubeconfig FILE config view',
    },
  )
}

type Fields = Record<string, unknown>

function readYaml(text: string): Fields | undefined {
  try {
    return fields(parse(text))
  } catch {
    return undefined
  }
}

/** The entry of that name in one of the three lists. */
function find(config: Fields | undefined, list: string, kind: string, name: unknown): Fields | undefined {
  const entries = config?.[list]
  if (!Array.isArray(entries)) return undefined
  return fields(fields(entries.find((entry) => fields(entry)?.name === name))?.[kind])
}

const fields = (value: unknown): Fields | undefined =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
