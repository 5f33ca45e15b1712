/** A systemd unit for a station that is always on: `piimage station --service`. */
import { resolve } from 'node:path'
import { isSea } from 'node:sea'
import { UsageError } from '../errors.ts'
import { clusterPath } from '../work/request.ts'
import { parseAddress, type StationRequest } from './station.ts'

/** @throws {UsageError} without a port of its own it would have another address at each start */
export function formatUnit(request: StationRequest, cwd: string): string {
  const { listen = '', passwordFile, readers, unmount = false, cache, lock, offline = false } = request
  if (parseAddress(listen).port === 0)
    throw new UsageError('a service needs a port of its own', { hint: 'For example --listen 127.0.0.1:4711' })
  const path = (name: string) => resolve(cwd, name)
  const words = [
    process.execPath,
    ...(isSea() ? [] : process.argv.slice(1, 2).map(path)),
    'station',
    ...readers.map(path),
    '--listen',
    listen,
    '--cluster',
    path(clusterPath(request)),
    ...(passwordFile === undefined ? [] : ['--password-file', path(passwordFile)]),
    ...(cache === undefined ? [] : ['--cache', path(cache)]),
    ...(lock === undefined ? [] : ['--lock', path(lock)]),
    ...(unmount ? ['--unmount'] : []),
    ...(offline ? ['--offline'] : []),
  ]
  return `[Unit]
Description=piimage station: cards for Raspberry Pis
After=network-online.target
Wants=network-online.target

[Service]
ExecStart=${words.map(quote).join(' ')}
# A card that is being written is left safe before the end.
KillSignal=SIGTERM
TimeoutStopSec=60
Restart=on-failure
CacheDirectory=piimage
Environment=PIIMAGE_CACHE=%C/piimage
# No mount namespace of its own: it unmounts cards for everybody.
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
LockPersonality=yes

[Install]
WantedBy=multi-user.target
`
}

/** systemd splits at spaces, and knows %, $, quotes and backslashes. */
const quote = (word: string): string => {
  const text = word.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w@%$+=:,./-]+$/.test(text) ? text : `"${text.replaceAll(/["\\]/g, '\\$&')}"`
}
