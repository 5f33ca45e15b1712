/**
 * Whose word it is that an unpacked image belongs to a download: this user's.
 * A lock that names the image's digest needs no such word; without it, a file
 * in the cache says so, and carries a code (HMAC-SHA256) that only who has the
 * key can make. The key lies in the user's state folder, never in the cache,
 * which may be copied, shared or restored.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { join } from 'node:path'
import { createFileAtomically } from '../io/atomic-file.ts'
import { makeFolder, openOwn, strangersIn } from '../io/ownership.ts'

/** What an image was when it was unpacked. */
export interface ImageFacts {
  /** Bytes. */
  size: number
  sha256: string
}

export interface Witness {
  /** The code for an image unpacked from the download `id`. */
  sign(id: string, facts: ImageFacts): Promise<string>
  /** Whether this user unpacked it. */
  knows(id: string, facts: ImageFacts, code: unknown): Promise<boolean>
}

/**
 * @param folder where the key is kept, made when it is first needed; undefined: no code outlives the process
 * @param onTrouble told once when the key can't be kept
 */
export function openWitness(folder: string | undefined, onTrouble: (why: string) => void): Witness {
  let key: Promise<Buffer> | undefined
  const code = async (id: string, { size, sha256 }: ImageFacts) => {
    key ??= folder === undefined ? Promise.resolve(randomBytes(32)) : readKey(folder, onTrouble)
    return createHmac('sha256', await key).update(`piimage/unpacked/1 ${id} ${size} ${sha256}`)
  }
  return {
    sign: async (id, facts) => (await code(id, facts)).digest('hex'),
    async knows(id, facts, said) {
      if (typeof said !== 'string' || !/^[0-9a-f]{64}$/.test(said)) return false
      return timingSafeEqual((await code(id, facts)).digest(), Buffer.from(said, 'hex'))
    },
  }
}

/** The key, made where there is none. One that others may have chosen is no key. */
async function readKey(wanted: string, onTrouble: (why: string) => void): Promise<Buffer> {
  try {
    const folder = await makeFolder(wanted)
    const strangers = await strangersIn(folder)
    if (strangers !== undefined) throw new Error(strangers)
    const path = join(folder, 'cache.key')
    const made = randomBytes(32)
    await createFileAtomically(path, `${made.toString('hex')}\n`, 0o600).catch((error) => {
      if (error.code !== 'EEXIST') throw error
    })
    return await readHex(path)
  } catch (error) {
    onTrouble(`what is unpacked now is unpacked again by the next run: ${(error as Error).message}`)
    return randomBytes(32)
  }
}

async function readHex(path: string): Promise<Buffer> {
  const handle = await openOwn(path)
  try {
    const text = (await handle.readFile('latin1')).trim()
    if (!/^[0-9a-f]{64}$/.test(text)) throw new Error(`${path} holds no key; remove it`)
    return Buffer.from(text, 'hex')
  } finally {
    await handle.close()
  }
}
