/**
 * Public keys of accounts at GitHub (`sshKeys: [github:NAME]`): fetched once, shown,
 * and kept beside the cluster file, so that whoever may change that account later
 * changes no node.
 */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { PublisherHttp } from '../catalog/publisher.ts'
import { pinnedKeysFile } from '../cluster/accounts.ts'
import { UsageError } from '../errors.ts'
import { writeFileAtomically } from '../io/atomic-file.ts'
import { parseAuthorizedKeys } from '../secrets/authorized-keys.ts'
import { fingerprintOf } from '../secrets/ed25519-key.ts'
import { type Caller, note } from './caller.ts'

/** Of an account with hundreds of keys. */
const MOST_BYTES = 256 * 1024

/**
 * @param folder the cluster file's
 * @throws {UsageError} there is no such account, or it has no key
 * @throws {FetchError} GitHub was not reached
 */
export async function pinKeys(
  accounts: readonly string[],
  folder: string,
  http: Pick<PublisherHttp, 'read'>,
  caller: Pick<Caller, 'onEvent'>,
  base = 'https://github.com',
): Promise<void> {
  for (const account of accounts) {
    const bytes = await http.read(`${base}/${account}.keys`, MOST_BYTES)
    const keys = parseAuthorizedKeys(Buffer.from(bytes ?? []).toString()).map(({ key }) => key)
    const good = keys.filter((key) => key.ok)
    if (good.length === 0)
      throw new UsageError(
        bytes === undefined
          ? `GitHub has no account ${account}`
          : `the account ${account} at GitHub has no key`,
        { hint: 'Look at https://github.com/NAME.keys, or give the .pub file.' },
      )
    const file = pinnedKeysFile(account)
    await mkdir(dirname(join(folder, file)), { recursive: true })
    const lines = [`# Keys of github:${account}. What is here counts; remove the file to fetch them anew.`]
    for (const key of good) {
      note(caller, `github:${account}: ${key.type} ${fingerprintOf(key.blob)}`)
      lines.push(`${key.type} ${key.blob.toString('base64')} github:${account}`)
    }
    await writeFileAtomically(join(folder, file), `${lines.join('\n')}\n`, 0o644)
    note(caller, `The keys of github:${account} are now in ${file}: keep it in git.`)
  }
}
