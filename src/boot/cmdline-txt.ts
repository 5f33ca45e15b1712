/**
 * cmdline.txt: the kernel's command line, as the Pi's firmware hands it over.
 *
 * One line of tokens between spaces; a double-quoted part of a token may hold
 * spaces. The firmware passes on only the first line, and everything on it, a
 * carriage return included. So the file is read into tokens, edited token by
 * token (never by pattern: `cgroup_memory=1.5` is not `cgroup_memory=1`), and
 * written back as exactly one line.
 *
 * Order matters twice. The kernel applies settings from left to right, after
 * those of the device tree. And `systemd.run…` goes last, because scripts of
 * the image cut the line off from there when they are done.
 *
 * Source: Linux, "The kernel's command-line parameters"; lib/cmdline.c
 * (`next_arg`: quotes); systemd-run-generator(8).
 */
import { FormatError, UsageError } from '../errors.ts'
import { oneLine, showValue } from '../plain-value.ts'
import { INSTALL, PAYLOAD } from './payload-paths.ts'

/** Old boot loaders and kernels cut longer lines off (COMMAND_LINE_SIZE of 32-bit ARM). */
const MAX_CMDLINE_BYTES = 1024

export interface CmdlineEdit {
  /** Exact tokens to take out; `key=*` takes every value of a key. */
  remove?: readonly string[]
  /** The one value of a key: replaces all it has, in the place of the first. */
  set?: Readonly<Record<string, string>>
  /** Exact tokens that must be there: flags, and keys that may occur several times (`console=`). */
  add?: readonly string[]
}

/** undefined: a quote is never closed. */
function splitTokens(line: string): string[] | undefined {
  if ((line.match(/"/g) ?? []).length % 2 === 1) return undefined
  return line.match(/(?:"[^"]*"|[^\s"])+/g) ?? []
}

/**
 * Tokens of the first line; later lines never reach the kernel and are dropped.
 *
 * @throws {FormatError} a quote that is never closed
 */
export function parseCmdline(text: string): string[] {
  const line = text.replaceAll('\0', '').split(/\r?\n/, 1)[0] ?? ''
  const tokens = splitTokens(line)
  if (tokens !== undefined) return tokens
  throw new FormatError(`cmdline.txt has a quote that is never closed: ${showValue(line)}`, {
    hint: 'The image is damaged, or was edited by hand. Repair cmdline.txt on its boot partition.',
  })
}

/**
 * @returns the one line, with its line end
 * @throws {FormatError} no `root=` is left, or the line is longer than old firmware passes on
 */
export function formatCmdline(tokens: readonly string[]): string {
  const line = tokens.join(' ')
  if (!tokens.some((token) => token.startsWith('root='))) {
    throw new FormatError(`cmdline.txt would have no root=: ${showValue(line)}`, {
      hint: 'Without it the Pi does not find its system. The image is damaged, or no Raspberry Pi image.',
    })
  }
  if (Buffer.byteLength(line) > MAX_CMDLINE_BYTES) {
    throw new FormatError(
      `cmdline.txt would be ${Buffer.byteLength(line)} bytes; ${MAX_CMDLINE_BYTES} reach the kernel`,
      { hint: 'Take kernel parameters out of the overlays of this node.' },
    )
  }
  return `${line}\n`
}

/** Whether `token` is one token as the kernel reads it, and no trap for the scripts of Raspberry Pi OS. */
function checkToken(token: string): string {
  oneLine(token, 'a kernel parameter')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range is ASCII
  if (/[^\x00-\x7f]/.test(token) || splitTokens(token)?.[0] !== token) {
    throw new UsageError(`${showValue(token)} is not one kernel parameter`, {
      hint: 'No spaces outside double quotes, ASCII only, and each quote closed.',
    })
  }
  // Raspberry Pi OS Trixie greps for " resize" and later cuts that text out of any token that starts so.
  if (/^resize./.test(token)) {
    throw new UsageError(`the kernel parameter ${showValue(token)} starts with "resize"`, {
      hint: 'Raspberry Pi OS takes that for its own "resize" and would mangle it. Use another name.',
    })
  }
  return token
}

const keyOf = (token: string): string => token.split('=', 1)[0] ?? token
const runsAtBoot = (token: string): boolean => token.startsWith('systemd.run')

/** Apply one edit to tokens; see `CmdlineEdit`. Applying it again changes nothing. */
export function editCmdline(tokens: readonly string[], edit: CmdlineEdit): string[] {
  const removed = new Set(edit.remove ?? [])
  let result = tokens.filter((token) => !removed.has(token) && !removed.has(`${keyOf(token)}=*`))
  for (const [key, value] of Object.entries(edit.set ?? {})) {
    const token = checkToken(`${key}=${value}`)
    const first = result.findIndex((other) => other.startsWith(`${key}=`))
    if (first === -1) result.push(token)
    else {
      result[first] = token
      result = result.filter((other, index) => index <= first || !other.startsWith(`${key}=`))
    }
  }
  for (const token of edit.add ?? []) {
    if (!result.includes(checkToken(token))) result.push(token)
  }
  return result
}

/**
 * Put the switch that makes systemd run one script, and nothing else, at the next boot.
 * Its three or four parameters stand together at the end of the line, whatever ran before.
 */
export function withBootScript(tokens: readonly string[], script: string): string[] {
  const others = withoutBootScript(tokens)
  return [
    ...others,
    checkToken(`systemd.run=${/ /.test(script) ? `"${script}"` : script}`),
    'systemd.run_success_action=reboot',
    // The generator's default for a script that fails is to power the machine off.
    'systemd.run_failure_action=reboot',
    'systemd.unit=kernel-command-line.target',
  ]
}

/**
 * The command for `withBootScript`.
 *
 * @param shared whether Raspberry Pi Imager may put a script of its own behind it: Raspberry Pi OS
 *   since Bookworm then turns each `/boot/` on the line into `/boot/firmware/`, so none is on it
 */
export function installCommand(bootMount: string, shared: boolean): string {
  if (!shared) return `${bootMount}/${INSTALL}`
  const [, top, ...below] = bootMount.split('/')
  return `/usr/bin/env --chdir=/${top} sh ${[...below, INSTALL].join('/')}`
}

/** Path of our script that these tokens start; undefined: none of ours, or none at all. */
export function installedScript(tokens: readonly string[]): string | undefined {
  for (const token of tokens) {
    const [, folder = '', path] = /^systemd\.run="?(?:\S+ --chdir=(\S+) sh )?([^"]*)"?$/.exec(token) ?? []
    const script = folder === '' ? path : `${folder}/${path}`
    if (script?.endsWith(`/${INSTALL}`)) return script
  }
  return undefined
}

/** The exact opposite: all of the switch, and no other `systemd.` parameter. */
function withoutBootScript(tokens: readonly string[]): string[] {
  return tokens.filter((token) => !runsAtBoot(token) && token !== 'systemd.unit=kernel-command-line.target')
}

/** cloud-init's seed and the identity of this machine: makes it read the seed once, and never again. */
export function withInstanceId(tokens: readonly string[], id: string): string[] {
  return editCmdline(tokens, { set: { ds: `nocloud;i=${id}` } })
}

/** A shell as the first process of one boot; the boots after it have the tokens as they were. */
export function withInitShell(tokens: readonly string[], bootMount: string): string[] {
  const commands = [
    'mount -t proc proc /proc',
    'mount -t sysfs sys /sys',
    `mount ${bootMount}`,
    `source ${bootMount}/${PAYLOAD}/init`,
  ]
  return [
    ...tokens.filter((token) => !token.startsWith('init=')),
    'init=/bin/bash',
    '-c',
    `"${commands.join('; ')}"`,
  ]
}

/** Whether these are tokens of `withInitShell`: then the image's own are in SAVED_CMDLINE. */
export const isInitShell = (tokens: readonly string[]): boolean =>
  tokens.some((token) => token.startsWith('"') && token.endsWith(`/${PAYLOAD}/init"`))

/** Without whatever an earlier plan put in to start the first boot. */
export function withoutTrigger(tokens: readonly string[]): string[] {
  return withoutBootScript(tokens).filter((token) => !token.startsWith('ds=nocloud;i=piimage-'))
}
