/**
 * exports(5) for nfs-ganesha: an NFS server in user space, which is what a
 * machine has whose kernel has none, with what the kernel's own would offer.
 */

/** A folder and a client, as a line of exports(5) has them. */
export interface ExportLine {
  path: string
  client: string
  options: string[]
}

/** @throws {Error} a line that is not `folder client(options)` */
export function parseExports(text: string): ExportLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, path, client, options] = /^(\S+)\s+([^\s(]+)\(([^)]*)\)$/.exec(line) ?? []
      if (path === undefined || client === undefined || options === undefined)
        throw new Error(`no line of exports: ${line}`)
      return { path, client, options: options.split(',') }
    })
}

function formatClient({ client, options }: ExportLine): string {
  const access = options.includes('rw') ? 'RW' : 'RO'
  const squash = options.includes('no_root_squash') ? 'No_Root_Squash' : 'Root_Squash'
  return `CLIENT { Clients = ${client}; Access_Type = ${access}; Squash = ${squash}; }`
}

/** One block per folder, with a number of its own in place of `fsid=`. */
function formatExport(path: string, lines: ExportLine[], number: number): string {
  return `EXPORT { Export_Id = ${number}; Path = ${path}; Pseudo = ${path}; Filesystem_id = 77.${number};
  Access_Type = None; FSAL { Name = VFS; } ${lines.map(formatClient).join(' ')} }\n`
}

/**
 * @param address where it listens
 * @param folder for what it must remember
 */
export function formatGanesha(address: string, folder: string, exports: readonly ExportLine[]): string {
  const paths = [...new Set(exports.map(({ path }) => path))]
  const blocks = paths.map((path, index) =>
    formatExport(
      path,
      exports.filter((line) => line.path === path),
      index + 1,
    ),
  )
  return `NFS_CORE_PARAM { Protocols = 3, 4; Bind_addr = ${address}; NFS_Port = 2049; MNT_Port = 20048;
  NLM_Port = 32803; Enable_NLM = true; Enable_RQUOTA = false; mount_path_pseudo = true; }
NFSV4 { Graceless = true; RecoveryBackend = fs; RecoveryRoot = ${folder}; }
EXPORT_DEFAULTS { SecType = sys; Protocols = 3, 4; Transports = UDP, TCP; }
LOG { Default_Log_Level = EVENT; }
${blocks.join('')}`
}
