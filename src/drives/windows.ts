/**
 * Drives on Windows, as PowerShell's storage cmdlets tell them. Only listed:
 * piimage writes no drives there, but what it says of them is judged by the
 * same rules.
 *
 * `ConvertTo-Json` gives an enumeration as its name or as its number, one
 * element of a list as the element itself, and no letter as NUL.
 * Source: Microsoft's MSFT_Disk, MSFT_PhysicalDisk and MSFT_Partition.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { DriveError } from '../errors.ts'
import type { Bus, Drive } from './drive.ts'

const runFile = promisify(execFile)

const SCRIPT = `
$ErrorActionPreference = 'Stop'
[Console]::OutputEncoding = [Text.Encoding]::UTF8
@{
  systemDrive = $env:SystemDrive
  disks = @(Get-Disk | Select-Object Number, FriendlyName, SerialNumber, UniqueId, Size, LogicalSectorSize, BusType, IsBoot, IsSystem, IsReadOnly)
  physical = @(Get-PhysicalDisk | Select-Object DeviceId, BusType)
  partitions = @(Get-Partition | Select-Object DiskNumber, PartitionNumber, DriveLetter, Size, Type, IsBoot, IsSystem)
  volumes = @(Get-Volume | Select-Object DriveLetter, FileSystemLabel, FileSystem)
  swap = @(Get-CimInstance Win32_PageFileUsage | Select-Object Name)
} | ConvertTo-Json -Depth 4 -Compress`

/** @throws {DriveError} PowerShell is not there, or answers nothing that can be read */
export async function listWindowsDrives(): Promise<Drive[]> {
  const args = ['-NoProfile', '-NonInteractive', '-Command', SCRIPT]
  try {
    const { stdout } = await runFile('powershell.exe', args, {
      maxBuffer: 64 * 1024 * 1024,
      windowsHide: true,
    })
    return describeWindowsDrives(JSON.parse(stdout.replace(/^\uFEFF/, '')))
  } catch (cause) {
    const { stderr, message } = cause as Error & { stderr?: string }
    throw new DriveError(
      `Windows does not tell its drives: ${(stderr || message).trim().split(/\r?\n/)[0]}`,
      {
        hint: 'Try Get-Disk in a PowerShell window; if that works, run the command again.',
        cause,
      },
    )
  }
}

type Row = Record<string, unknown>

/** @param answer what the script prints, as JSON */
export function describeWindowsDrives(answer: unknown): Drive[] {
  const { systemDrive, disks, physical, partitions, volumes, swap } = (answer ?? {}) as Row
  const pageFiles = rows(swap).flatMap(({ Name }) => text(Name)?.slice(0, 1).toUpperCase() ?? [])
  return rows(disks)
    .flatMap((disk) => {
      const number = count(disk.Number)
      if (number === undefined) return []
      const own = rows(partitions).filter((partition) => count(partition.DiskNumber) === number)
      const hardware = rows(physical).find(({ DeviceId }) => String(DeviceId) === String(number))
      return describe(number, disk, own, { systemDrive, hardware, volumes: rows(volumes), pageFiles })
    })
    .sort((a, b) => a.path.localeCompare(b.path, 'en', { numeric: true }))
}

interface Surroundings {
  systemDrive: unknown
  hardware: Row | undefined
  volumes: Row[]
  /** Drive letters. */
  pageFiles: string[]
}

function describe(number: number, disk: Row, partitions: Row[], around: Surroundings): Drive {
  const path = `\\\\.\\PhysicalDrive${number}`
  const busName = enumName(disk.BusType ?? around.hardware?.BusType, BUS_NAMES)
  const bus = BUSES[busName ?? ''] ?? 'other'
  const removable = bus === 'usb' || bus === 'mmc'
  const letters = partitions.flatMap(({ DriveLetter }) => letterOf(DriveLetter) ?? [])
  const flags = [
    disk.IsBoot,
    disk.IsSystem,
    ...partitions.flatMap(({ IsBoot, IsSystem }) => [IsBoot, IsSystem]),
  ]
  const systemLetter = text(around.systemDrive)?.slice(0, 1).toUpperCase()
  const unknown = [
    ['Size', count(disk.Size)],
    ['LogicalSectorSize', count(disk.LogicalSectorSize)],
    ['BusType', busName],
    ['IsBoot', flag(disk.IsBoot)],
    ['IsSystem', flag(disk.IsSystem)],
    ['IsReadOnly', flag(disk.IsReadOnly)],
    ['SystemDrive', systemLetter],
  ] as const
  return {
    path,
    size: count(disk.Size) ?? 0,
    sectorSize: count(disk.LogicalSectorSize) ?? 0,
    model: text(disk.FriendlyName),
    serial: text(disk.SerialNumber),
    bus,
    removable,
    internal: !removable && !/^(1394|iSCSI|Virtual|File Backed Virtual|Spaces)$/.test(busName ?? ''),
    virtual: /^(Virtual|File Backed Virtual|Spaces)$/.test(busName ?? ''),
    autoUnmount: removable,
    unknown: unknown.flatMap(([name, value]) => (value === undefined ? [name] : [])),
    readOnly: flag(disk.IsReadOnly) === true,
    partitions: partitions.map((partition) => {
      const letter = letterOf(partition.DriveLetter)
      const volume = around.volumes.find(
        ({ DriveLetter }) => letter !== undefined && letterOf(DriveLetter) === letter,
      )
      return {
        path: `${path} partition ${count(partition.PartitionNumber) ?? '?'}`,
        size: count(partition.Size) ?? 0,
        label: text(volume?.FileSystemLabel),
        fileSystem: text(volume?.FileSystem) ?? text(partition.Type),
      }
    }),
    mounts: letters.map((letter) => ({ source: path, target: `${letter}:\\` })),
    holders: [],
    memberOf: [],
    writers: [],
    swap: letters.some((letter) => around.pageFiles.includes(letter)),
    system: flags.includes(true) || letters.some((letter) => letter === systemLetter),
    sequence: text(disk.UniqueId),
  }
}

/** MSFT_Disk.BusType */
const BUS_NAMES: Record<number, string> = {
  1: 'SCSI',
  2: 'ATAPI',
  3: 'ATA',
  4: '1394',
  5: 'SSA',
  6: 'Fibre Channel',
  7: 'USB',
  8: 'RAID',
  9: 'iSCSI',
  10: 'SAS',
  11: 'SATA',
  12: 'SD',
  13: 'MMC',
  14: 'Virtual',
  15: 'File Backed Virtual',
  16: 'Spaces',
  17: 'NVMe',
}

const BUSES: Record<string, Bus> = {
  USB: 'usb',
  SD: 'mmc',
  MMC: 'mmc',
  NVMe: 'nvme',
  SATA: 'sata',
  ATA: 'sata',
  SCSI: 'scsi',
  SAS: 'scsi',
  'File Backed Virtual': 'loop',
}

/** `Unknown` is no answer. */
function enumName(value: unknown, names: Record<number, string>): string | undefined {
  const name = typeof value === 'number' ? names[value] : text(value)
  return name === 'Unknown' || name === undefined ? undefined : name.replace('Storage Spaces', 'Spaces')
}

function letterOf(value: unknown): string | undefined {
  const letter = typeof value === 'number' ? String.fromCharCode(value) : text(value)
  return letter !== undefined && /^[A-Za-z]$/.test(letter) ? letter.toUpperCase() : undefined
}

/** A list of one comes as the one. */
const rows = (value: unknown): Row[] =>
  (Array.isArray(value) ? value : [value]).filter(
    (row): row is Row => typeof row === 'object' && row !== null,
  )
const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined
const flag = (value: unknown): boolean | undefined => (typeof value === 'boolean' ? value : undefined)
const count = (value: unknown): number | undefined => {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) && number >= 0 ? number : undefined
}
