/**
 * What a starting system says on its serial console, as the few steps that a
 * person wants to see, and what ends it.
 *
 * Source: the kernel's, systemd's, cloud-init's and initramfs-tools' own words;
 * firstboot/lib.sh, `report`.
 */

export interface ConsoleSays {
  /** A step of the boot, in words. */
  step?: string
  /** It will not come up. */
  fault?: string
  /** Of piimage's first boot. */
  firstBoot?: { step: string; state: string; detail: string }
  /** Somebody can log in at the board. */
  prompt?: true
}

const ESCAPE = String.fromCharCode(27)
const COLOURS = new RegExp(`${ESCAPE}\\[[0-9;?]*[A-Za-z]`, 'g')

/** The kernel restarts the machine: asked to, or by the key of a first boot without systemd. */
export const RESTARTS = /reboot: Restarting system|sysrq: (?:SysRq : )?Resetting/

const steps: readonly [RegExp, (...found: string[]) => string][] = [
  [/Linux version (\S+)/, (release) => `kernel ${release}`],
  [/EXT4-fs \(\S+\): mounted filesystem/, () => 'root mounted'],
  [/systemd\[1\]: systemd (\d+)\S* .*running in system mode/, (version) => `systemd ${version}`],
  [/Cloud-init v\. \S+ running '([a-z:-]+)'/, (stage) => `cloud-init ${stage}`],
  [/Reached target (?:\S+ - )?(Multi-User System)/i, () => 'multi-user'],
  [RESTARTS, () => 'restarts'],
  [/reboot: Power down/, () => 'powers off'],
]

const faults: readonly [RegExp, (...found: string[]) => string][] = [
  [/Kernel panic - not syncing: (.*)/, (why) => `the kernel panics: ${why}`],
  [/ALERT!\s+(\S+) does not exist/, (root) => `the initial RAM disk finds no ${root}`],
  [/^\(initramfs\)/, () => 'the initial RAM disk gives up and shows its shell'],
  [/You are in (emergency|rescue) mode/, (mode) => `systemd stops in ${mode} mode`],
  [/Cannot open access to console, the root account is locked/, () => 'systemd stops in emergency mode'],
  [/systemd\[1\]: Freezing execution/, () => 'systemd stops: freezing execution'],
]

export function readConsoleLine(raw: string): ConsoleSays {
  const line = raw.replace(COLOURS, '').replaceAll('\r', '')
  const [, step = '', state = '', detail = ''] =
    /^piimage: [^:\s]+: (\S+) (running|retrying|waiting|failed|done)(?:: (.*))?$/.exec(line.trim()) ?? []
  if (state !== '') {
    const firstBoot = { step, state, detail }
    const told = `first boot: ${step} ${state}${detail === '' ? '' : `: ${detail}`}`
    return state === 'failed'
      ? { firstBoot, step: told, fault: `${step}: ${detail || 'failed'}` }
      : { firstBoot, step: told }
  }
  if (/^\S+ login: ?$/.test(line)) return { prompt: true, step: 'login prompt' }
  const tellFirst = (patterns: typeof steps): string | undefined => {
    for (const [pattern, tell] of patterns) {
      const match = pattern.exec(line)
      if (match !== null) return tell(...match.slice(1)).trim()
    }
    return undefined
  }
  return { fault: tellFirst(faults), step: tellFirst(steps) }
}

/** systemd's own line on a unit that failed: the reason for the emergency mode that may follow. */
export const failedUnit = (raw: string): string | undefined =>
  /\[\s*(?:FAILED|TIME|DEPEND)\s*\]\s+(.*?)\.?\s*$/.exec(raw.replace(COLOURS, ''))?.[1]

/** Bytes of a console → lines; a prompt is one before its end has come. */
export class ConsoleLines {
  #rest = ''
  readonly #onLine: (line: string) => void

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine
  }

  write(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#onLine(line.replaceAll('\r', ''))
    if (/^(\S+ login: |\(initramfs\) )$/.test(this.#rest.replace(COLOURS, ''))) {
      this.#onLine(this.#rest)
      this.#rest = ''
    }
  }
}
