/** Loaded before piimage (`--import`): on a Mac, disk images count as drives. Nothing that is shipped does this. */
Object.defineProperty(globalThis, Symbol.for('piimage.tests.acceptDiskImages'), { value: true })
