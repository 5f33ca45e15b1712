/**
 * Loaded before a program (`--import`): it halts itself right after it has said
 * what matches PIIMAGE_TEST_HALT_AT, once. A signal from outside may come when
 * it is long past that.
 */
const at = new RegExp(process.env.PIIMAGE_TEST_HALT_AT ?? '(?!)')
let halted = false
for (const stream of [process.stdout, process.stderr]) {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean
  stream.write = (...args: unknown[]): boolean => {
    // On a pipe this is synchronous: whoever listens has it now.
    const result = write(...args)
    if (!halted && at.test(String(args[0]))) {
      halted = true
      process.kill(process.pid, 'SIGSTOP')
    }
    return result
  }
}
