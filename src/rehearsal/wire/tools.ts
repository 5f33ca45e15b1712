/** The system's own network tools, run to their end. */
import { UsageError } from '../../errors.ts'
import { complaintOf, NO_PROGRAM, type Ran, runProgram } from '../../io/run-program.ts'

const packages: Record<string, string> = { ip: 'iproute2', tc: 'iproute2', unshare: 'util-linux' }

export const missingTool = (name: string): UsageError =>
  new UsageError(`the program ${name} is needed to rehearse a boot, and is not there`, {
    hint: `apt install ${packages[name] ?? name}, or look at the files alone: --offline.`,
  })

/** @throws {UsageError} there is no such program */
export async function runTool(name: string, args: readonly string[]): Promise<Ran> {
  const ran = await runProgram(name, args)
  if (ran.status === NO_PROGRAM) throw missingTool(name)
  return ran
}

/** @throws {UsageError} it failed, with what it said */
export async function mustRunTool(name: string, args: readonly string[]): Promise<string> {
  const ran = await runTool(name, args)
  if (ran.status === 0) return ran.stdout
  throw new UsageError(`${name} ${args.join(' ')}: ${complaintOf(ran)}`, {
    hint: 'Rehearsing a boot needs root on the server and a kernel with veth and tc; --offline looks at the files alone.',
  })
}

/** No address, and no packets, of its own accord; a kernel without IPv6 refuses, and needs no telling. */
export async function withoutIpv6(name: string): Promise<void> {
  await runTool('ip', ['link', 'set', name, 'addrgenmode', 'none'])
}
