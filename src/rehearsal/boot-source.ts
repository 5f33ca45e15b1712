/** Where a board gets its files from: a TFTP server, or the folder that one would serve. */

export type BootReply =
  | { kind: 'file'; bytes: Uint8Array }
  | { kind: 'missing' }
  /** The server has it and does not give it. */
  | { kind: 'refused'; message: string }
  /** No answer at all, or none any more. */
  | { kind: 'silent' }

export interface BootSource {
  /**
   * @param path as the board writes it: `38e1a2f0/start4.elf`, `38e1a2f0//config.txt`
   * @param how `probe`: only whether it is there, so `bytes` is empty
   */
  ask(path: string, how: 'probe' | 'read'): Promise<BootReply>
  /** The same file as a person finds it on the server. */
  placeOf(path: string): string
}
