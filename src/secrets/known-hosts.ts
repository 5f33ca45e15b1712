/** known_hosts lines: which key a host shows. Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". */

export interface KnownHost {
  /** Host names and addresses it is reached by. */
  names: readonly string[]
  /** 22 unless given. */
  port?: number
  /** `ssh-ed25519 AAAA…`; a comment is left out. */
  publicLine: string
}

/** One line, without newline. */
export function formatKnownHost({ names, port = 22, publicLine }: KnownHost): string {
  if (names.length === 0) throw new Error('a known host has a name')
  for (const name of names)
    if (!/^[A-Za-z0-9.:_-]+$/.test(name))
      throw new Error(`${JSON.stringify(name)} is not a host name or address`)
  const hosts = names.map((name) => (port === 22 ? name : `[${name}]:${port}`))
  return `${hosts.join(',')} ${publicLine.split(' ').slice(0, 2).join(' ')}`
}
