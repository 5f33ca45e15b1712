/** Which system an image holds, as a family recognised it (../systems/). */

/** What overlays may depend on (`when: { os.cloudInit: true }`). */
export interface Traits {
  /** cloud-init runs and reads its seed from the boot partition. */
  cloudInit: boolean
  /** Oldest kernel generation the release came with. */
  kernel: 4 | 5 | 6
}

/** How the payload is started on the first boot. */
export type Trigger =
  /** user-data's runcmd, or in a published image a script of vendor-data's. */
  | 'cloud-init'
  /** `systemd.run=` on the command line; needs systemd 240. */
  | 'systemd.run'
  /** `init=` on the command line: a shell as the first process. */
  | 'init'
  /** What DietPi's own first boot runs. */
  | 'Automation_Custom_PreScript.sh'

export interface DetectedOs {
  /** Name of the family: `raspios`. */
  family: string
  /** Name of the release: `bookworm`. */
  release: string
  /** What was found that says so, for people. */
  evidence: string[]
  traits: Traits
  bootMount: '/boot' | '/boot/firmware'
  trigger: Trigger
}
