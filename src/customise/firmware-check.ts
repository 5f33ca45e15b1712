/**
 * config.txt settings that ask for another firmware file: with `gpu_mem=16` the
 * Pi starts from the cut-down `start_cd.elf` and `fixup_cd.dat` (`start4cd.elf`,
 * `fixup4cd.dat` on a Pi 4). Without them it does not start at all.
 *
 * Source: Raspberry Pi documentation, "Boot folder contents".
 */
import type { BootFiles } from '../boot/boot-files.ts'
import type { ConfigTxtLine } from '../boot/config-txt.ts'
import { boards, type Model } from '../cluster/boards.ts'
import { UsageError } from '../errors.ts'

/** @throws {UsageError} the files are not there */
export async function checkFirmwareFiles(
  lines: readonly ConfigTxtLine[],
  boot: BootFiles,
  model: Model,
): Promise<void> {
  const memory = lines.filter(({ key }) => key === 'gpu_mem').at(-1)?.value
  const { loader } = boards[model]
  // Firmware in flash ignores the setting.
  if (memory === undefined || Number(memory) > 16 || loader === 'direct') return
  const needed = loader === 'start4' ? ['start4cd.elf', 'fixup4cd.dat'] : ['start_cd.elf', 'fixup_cd.dat']
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
