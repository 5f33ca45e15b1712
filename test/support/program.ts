/** A stand-in for a program of another machine: the start of an ELF file, and a text in it. */
export function standInProgram(text: string, machine = 183): Buffer {
  const header = Buffer.alloc(64)
  header.write('\x7fELF', 'latin1')
  header.set([machine === 40 || machine === 3 ? 1 : 2, 1, 1], 4)
  header.writeUInt16LE(machine, 18)
  return Buffer.concat([header, Buffer.from(text)])
}
