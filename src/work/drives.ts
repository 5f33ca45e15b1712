/** `drives`: what is plugged in, and whether it may be written. */
import type { Drive } from '../drives/drive.ts'
import { judgeDrive } from '../drives/guard.ts'
import { listDrives } from '../drives/list.ts'
import type { Caller } from './caller.ts'
import type { CardOptions } from './flash-card.ts'
import { type ClusterRequest, cacheFolder } from './request.ts'

export interface JudgedDrive {
  drive: Drive
  /** undefined: it may be written. */
  refusal?: { message: string; hint?: string }
}

export async function drives(
  request: Pick<ClusterRequest, 'cache'> & Pick<CardOptions, 'serial' | 'unmount'>,
  caller: Caller,
): Promise<JudgedDrive[]> {
  const { serial, unmount } = request
  const options = { serial, unmount, cachePath: cacheFolder(request, caller) }
  const found = await listDrives(caller.platform, { contents: true })
  return found.map((drive) => ({ drive, refusal: judgeDrive(drive, 0, options) }))
}
