/**
 * The first MiB of a card, which decides whether it boots: blank while anything
 * else is written, written last, and its first 4 KiB (the partition table) last
 * of all.
 */
import type { Range } from '../disk/blocks.ts'
import { allocateAligned } from '../io/aligned-buffer.ts'
import { MiB } from '../units.ts'
import { ALIGN_BYTES, type Target } from './target.ts'
import { flushTarget, writeTarget } from './target-fault.ts'

const BOOT_AREA_BYTES = MiB

/** Blanks the boot areas of all cards; never written to. */
let zeroedArea: Buffer | undefined
const zeroes = (length: number): Buffer => {
  zeroedArea ??= allocateAligned(1, BOOT_AREA_BYTES)[0] as Buffer
  return zeroedArea.subarray(0, length)
}

export class BootArea {
  readonly length: number
  readonly #target: Target
  /** `old`: untouched; `blanking`: may be old; `blank`: zero; `suspect`: may be bootable; `done`. */
  #state: 'old' | 'blanking' | 'blank' | 'suspect' | 'done' = 'old'

  constructor(target: Target) {
    this.#target = target
    this.length = Math.min(BOOT_AREA_BYTES, target.length)
  }

  /** In the order they are written in. */
  get parts(): Range[] {
    const table = Math.min(ALIGN_BYTES, this.length)
    return [
      { offset: table, length: this.length - table },
      { offset: 0, length: table },
    ].filter(({ length }) => length > 0)
  }

  /**
   * Make the card unbootable, and say so to the medium before anything else is written.
   * @param findStale what else of the card's earlier life must go
   */
  async blank(findStale: () => Promise<{ offset: number; bytes: Buffer } | undefined>): Promise<void> {
    this.#state = 'blanking'
    await writeTarget(this.#target, zeroes(this.length), 0)
    const stale = await findStale()
    if (stale !== undefined) await writeTarget(this.#target, stale.bytes, stale.offset)
    await flushTarget(this.#target)
    this.#state = 'blank'
  }

  /** From now on something bootable may be there: it is being written, or the card puts things where they don't belong. */
  suspect(): void {
    this.#state = 'suspect'
  }

  /** Nothing landed there after all. */
  trust(): void {
    this.#state = 'blank'
  }

  /** All of the card is as it should be. */
  finish(): void {
    this.#state = 'done'
  }

  /** Zero it again if something bootable may be there. @returns what state the card is in, as half a sentence */
  async ensureUnbootable(): Promise<string> {
    if (this.#target.kind === 'file') return 'no file was made'
    if (this.#state === 'old') return 'nothing was written'
    if (this.#state === 'blanking') return 'what was on it may still be there'
    if (this.#state === 'done') return 'the card is complete'
    if (this.#state === 'suspect') {
      try {
        await this.#target.write(zeroes(this.length), 0)
        await this.#target.flush()
        this.#state = 'blank'
      } catch {
        return 'the card may still look bootable: do not use it'
      }
    }
    return 'the card was left unbootable'
  }
}
