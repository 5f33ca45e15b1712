/**
 * File capabilities: what an executable may do beyond its user's rights, kept
 * in the attribute `security.capability`. NFS version 3 has no attributes, so
 * on a root that is mounted so, these programs lose them: ping is one.
 *
 * Source: Linux include/uapi/linux/capability.h (struct vfs_cap_data).
 */
import { FormatError } from '../errors.ts'
import type { TreeManifest } from './manifest.ts'

export interface FileCapability {
  path: string
  /** As getcap(8) prints them: `cap_net_admin,cap_net_raw=ep`. */
  capabilities: string
}

/** By number. */
const names = (
  'chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable net_bind_service ' +
  'net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace sys_pacct ' +
  'sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap ' +
  'mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore'
).split(' ')

/** In the order of the manifest. @throws {FormatError} a value that is no set of capabilities */
export function fileCapabilities(manifest: TreeManifest): FileCapability[] {
  const found: FileCapability[] = []
  for (const { path, xattrs } of manifest.entries) {
    const value = xattrs?.['security.capability']
    if (value === undefined) continue
    const capabilities = decode(Buffer.from(value, 'hex'))
    if (capabilities === undefined)
      throw new FormatError(`${path}: its file capabilities (0x${value}) are of no known form`)
    found.push({ path, capabilities })
  }
  return found
}

/** Of vfs_cap_data by its version: bytes in all, and words of 32 bits in each set. */
const forms: Readonly<Record<number, { bytes: number; words: number }>> = {
  1: { bytes: 12, words: 1 },
  2: { bytes: 20, words: 2 },
  3: { bytes: 24, words: 2 },
}

function decode(value: Buffer): string | undefined {
  if (value.length < 4) return undefined
  const magic = value.readUInt32LE(0)
  const form = forms[magic >>> 24]
  if (form === undefined || value.length !== form.bytes) return undefined
  const bits = (set: 0 | 1): number[] => {
    const numbers: number[] = []
    for (let word = 0; word < form.words; word += 1)
      for (let bit = 0; bit < 32; bit += 1)
        if (((value.readUInt32LE(4 + word * 8 + set * 4) >>> bit) & 1) === 1) numbers.push(word * 32 + bit)
    return numbers
  }
  const permitted = bits(0)
  const inheritable = bits(1)
  const effective = (magic & 1) === 1 ? 'e' : ''
  const groups = new Map<string, string[]>()
  for (const number of [...new Set([...permitted, ...inheritable])].sort((a, b) => a - b)) {
    const isPermitted = permitted.includes(number)
    const flags = `${effective}${inheritable.includes(number) ? 'i' : ''}${isPermitted ? 'p' : ''}`
    const name = names[number] === undefined ? String(number) : `cap_${names[number]}`
    groups.set(flags, [...(groups.get(flags) ?? []), name])
  }
  return [...groups].map(([flags, list]) => `${list.join(',')}=${flags}`).join(' ')
}
