/**
 * config.txt settings that ask for another firmware file: with `gpu_mem=16` the
 * Pi starts from the cut-down `start_cd.elf` and `fixup_cd.dat` (`start4cd.elf`,
 * `fixup4cd.dat` on a Pi 4). Without them it does not start at all.
 *
 * Source: Raspberry Pi documentation, "Boot folder contents".
 */

import type { BootFiles } from '../boot/boot-files.ts'
import type { ConfigTxtLine } from '../boot/config-txt.ts'
import type { Model } from '../cluster/node.ts'
import { UsageError } from '../errors.ts'

/** These have their firmware in flash and ignore the setting. */
const inFlash: readonly Model[] = ['pi5', 'pi500', 'cm5']
const fours: readonly Model[] = ['pi4', 'pi400', 'cm4']

/** @throws {UsageError} the files are not there */
export async function checkFirmwareFiles(
  lines: readonly ConfigTxtLine[],
  boot: BootFiles,
  model: Model,
): Promise<void> {
  const memory = lines.filter(({ key }) => key === 'gpu_mem').at(-1)?.value
  if (memory === undefined || Number(memory) > 16 || inFlash.includes(model)) return
  const needed = fours.includes(model) ? ['start4cd.elf', 'fixup4cd.dat'] : ['start_cd.elf', 'fixup_cd.dat']
  const present = new Set((await boot.list('')).map(({ name }) => name.toLowerCase()))
  const missing = needed.filter((name) => !present.has(name))
  if (missing.length === 0) return
  throw new UsageError(
    `gpu_mem=${memory} starts a ${model} from ${missing.join(' and ')}, and the image has none`,
    {
      hint: 'It would not start. Use gpu-mem: { megabytes: 32 }.',
    },
  )
}
