/** Proxies as curl and most programs take them from the environment: HTTP_PROXY, HTTPS_PROXY, NO_PROXY, lower case first. */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP, type Socket } from 'node:net'
import { connect as tlsConnect } from 'node:tls'
import { UsageError } from '../errors.ts'

export type Environment = Record<string, string | undefined>

/**
 * The proxy for an address; undefined: none.
 * @throws {UsageError} the variable names no http: or https: proxy
 */
export function proxyFor(target: URL, env: Environment): URL | undefined {
  const name = target.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY'
  const value = env[name.toLowerCase()] ?? env[name] ?? ''
  if (value === '' || bypasses(target, env.no_proxy ?? env.NO_PROXY ?? '')) return undefined
  const text = /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`
  const proxy = URL.canParse(text) ? new URL(text) : undefined
  if (proxy !== undefined && (proxy.protocol === 'http:' || proxy.protocol === 'https:')) return proxy
  throw new UsageError(`${name} is not an http: or https: proxy`, {
    hint: `Such as ${name}=http://proxy.example.org:3128`,
  })
}

/** `*`, or a list of hosts with an optional port; a host stands for its subdomains too. */
function bypasses(target: URL, noProxy: string): boolean {
  const host = target.hostname.toLowerCase()
  const port = target.port || (target.protocol === 'https:' ? '443' : '80')
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      if (entry === '*') return true
      const [, name = '', onlyPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry) ?? []
      if (name === '' || (onlyPort !== undefined && onlyPort !== port)) return false
      return host === name || host.endsWith(`.${name}`)
    })
}

/** `Proxy-Authorization`, where the proxy's address has a user in it. */
export function proxyHeaders(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {}
  const user = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(user).toString('base64')}` }
}

/**
 * An encrypted connection to `target` through the proxy (CONNECT).
 * @param ca PEM, in place of the system's authorities
 * @throws what the network says, or that the proxy refused
 */
export async function openTunnel(
  proxy: URL,
  target: URL,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  const host = target.hostname.replace(/^\[|\]$/g, '')
  const socket = await new Promise<Socket>((resolve, reject) => {
    const address = `${target.hostname}:${target.port || 443}`
    const request = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || (proxy.protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: address,
      headers: { host: address, ...proxyHeaders(proxy) },
      agent: false,
      signal,
      ca,
    })
    request.once('connect', (answer, tunnel) => {
      if (answer.statusCode === 200) return resolve(tunnel)
      tunnel.destroy()
      return reject(new Error(`the proxy ${proxy.host} answers ${answer.statusCode} to CONNECT ${address}`))
    })
    // A server that answers CONNECT like any other request is no proxy.
    request.once('response', (answer) => {
      answer.destroy()
      reject(new Error(`the proxy ${proxy.host} answers ${answer.statusCode} to CONNECT ${address}`))
    })
    request.once('error', reject)
    request.end()
  })
  const secured = tlsConnect({
    socket,
    host,
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ca,
  })
  try {
    await once(secured, 'secureConnect', { signal })
    return secured
  } catch (error) {
    secured.destroy()
    throw error
  }
}
