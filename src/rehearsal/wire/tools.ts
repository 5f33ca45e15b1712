/** The system's own network tools, run to their end. */
import { execFile } from 'node:child_process'
import { UsageError } from '../../errors.ts'

export interface Ran {
  status: number
  stdout: string
  stderr: string
}

const packages: Record<string, string> = { ip: 'iproute2', tc: 'iproute2', unshare: 'util-linux' }

export const missingTool = (name: string): UsageError =>
  new UsageError(`the program ${name} is needed to rehearse a boot, and is not there`, {
    hint: `apt install ${packages[name] ?? name}, or look at the files alone: --offline.`,
  })

/** @throws {UsageError} there is no such program */
export function runTool(name: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    // Where they are on Debian isn't on everybody's PATH.
    const env = { ...process.env, LC_ALL: 'C', PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` }
    execFile(name, args, { env }, (error, stdout, stderr) => {
      if (error !== null && (error as NodeJS.ErrnoException).code === 'ENOENT') reject(missingTool(name))
      else resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr })
    })
  })
}

/** @throws {UsageError} it failed, with what it said */
export async function mustRunTool(name: string, args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await runTool(name, args)
  if (status === 0) return stdout
  throw new UsageError(`${name} ${args.join(' ')}: ${stderr.trim() || `status ${status}`}`, {
    hint: 'Rehearsing a boot needs root on the server and a kernel with veth and tc; --offline looks at the files alone.',
  })
}

/** No address, and no packets, of its own accord; a kernel without IPv6 refuses, and needs no telling. */
export async function withoutIpv6(name: string): Promise<void> {
  await runTool('ip', ['link', 'set', name, 'addrgenmode', 'none'])
}
