/**
 * What the lock says that an image is, against what its root says: rules of the
 * cluster file and overlays go by the lock, and the node by its root.
 *
 * Source: os-release(5).
 */
import type { LockedImage } from '../catalog/locked-image.ts'
import { UsageError } from '../errors.ts'
import type { RootFacts } from '../root/root-facts.ts'

/** `ID` of os-release, by the system's name in the lock; of others nothing is known. */
const idsOf: Record<string, readonly string[]> = {
  raspios: ['debian', 'raspbian'],
  raspbian: ['debian', 'raspbian'],
  clusterctrl: ['debian', 'raspbian'],
  hypriotos: ['debian', 'raspbian', 'hypriotos'],
  debian: ['debian'],
  dietpi: ['debian', 'raspbian'],
  ubuntu: ['ubuntu'],
}

type Locked = Pick<LockedImage, 'key' | 'arch'> & Partial<Pick<LockedImage, 'os' | 'release'>>

/** @throws {UsageError} they contradict each other; it shows both */
export async function refuseOtherThanLocked(image: Locked, root: RootFacts): Promise<void> {
  const { ID, VERSION_CODENAME, VERSION = '', PRETTY_NAME } = await root.osRelease()
  // Before Buster the code name stands behind the number only.
  const release = VERSION_CODENAME ?? /\(([a-z]+)\)/.exec(VERSION)?.[1]
  const name = PRETTY_NAME ?? [ID, release].filter((part) => part !== undefined).join(' ')
  const ids = image.os === undefined ? undefined : idsOf[image.os]
  if (ID !== undefined && ids?.includes(ID) === false)
    throw contradiction(image, `os ${image.os}`, `its /etc/os-release says ${name}`)
  const said = image.release ?? undefined
  if (release !== undefined && said !== undefined && /^[a-z]+$/.test(said) && said !== release)
    throw contradiction(image, `release ${said}`, `its /etc/os-release says ${name}`)
  const machine = await root.machine()
  const arch = machine === 'arm' ? 'armhf' : machine
  if ((arch === 'armhf' || arch === 'arm64') && arch !== image.arch)
    throw contradiction(image, `arch ${image.arch}`, `its /sbin/init is a program for ${arch}`)
}

const contradiction = ({ key }: Locked, locked: string, found: string): UsageError =>
  new UsageError(`${key} stands in the lock with ${locked}, and ${found}`, {
    hint: 'Correct the entry, or lock the image that was meant.',
  })
