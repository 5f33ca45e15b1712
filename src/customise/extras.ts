/**
 * Files that somebody brings along on the command line, in place of the image's
 * own: user-data, meta-data, config.txt, and any other file of the boot partition.
 *
 * They stand where the image's files stood; what the node and its overlays ask
 * for is merged over them. So `--hostname` wins over a `hostname:` in the file,
 * and a list (`runcmd`) has the file's entries first.
 */

import { bytesOf } from '../boot/boot-files.ts'
import {
  formatUserData,
  formatYaml,
  mergeTrees,
  parseUserData,
  parseYamlMap,
  type TreeMap,
} from '../boot/cloud-init.ts'
import { FormatError, UsageError } from '../errors.ts'
import type { SystemFacts } from '../node/edits.ts'
import type { BootDraft } from './boot-draft.ts'
import { findSecrets } from './find-secrets.ts'

export interface BootExtras {
  userData?: TreeMap
  metaData?: TreeMap
  configTxt?: string
  /** By path on the boot partition. */
  files: ReadonlyMap<string, Uint8Array>
  /** What is in them and must not be shown. */
  secrets: readonly string[]
}

/** A file as it was read: where from, and its text. */
export interface GivenText {
  name: string
  text: string
}

/** @throws {FormatError} YAML that cloud-init would not take; says which file */
export function readExtras(given: {
  userData?: GivenText
  metaData?: GivenText
  configTxt?: GivenText
  files: ReadonlyMap<string, Uint8Array>
}): BootExtras {
  const { userData, metaData, configTxt, files } = given
  return {
    userData: userData === undefined ? undefined : parseUserData(userData.text, userData.name),
    metaData: metaData === undefined ? undefined : parseYamlMap(metaData.text, metaData.name),
    configTxt: configTxt?.text,
    files,
    secrets: [userData, metaData].flatMap((file) => (file === undefined ? [] : findSecrets(file.text))),
  }
}

/** After the family has written its user-data: the given one goes beneath. */
export function addExtraFiles(extras: BootExtras, draft: BootDraft, facts: SystemFacts): void {
  for (const secret of extras.secrets) draft.secrets.add(secret)
  for (const [path, content] of extras.files) draft.files.set(path, content)
  const { userData } = extras
  if (userData === undefined) return
  const written = textOf(draft, 'user-data')
  const ours = parseUserData(written, 'user-data')
  // Families keep the image's accounts where nobody asks for one; the given file has its own.
  if (facts.user === undefined && userData.users !== undefined) {
    delete ours.users
    delete ours.chpasswd
  }
  const comment = /^# (.*)$/m.exec(written.slice(written.indexOf('\n') + 1))?.[1] ?? ''
  draft.files.set('user-data', bytesOf(formatUserData(mergeTrees(userData, ours), comment)))
}

/** After the family has written its meta-data: the instance-id stays ours, or cloud-init would not start over. */
export function addMetaData(extras: BootExtras, draft: BootDraft): void {
  const { metaData } = extras
  if (metaData === undefined) return
  if (metaData['instance-id'] !== undefined || metaData.instance_id !== undefined)
    draft.warnings.push('the instance-id of the given meta-data is replaced: it follows from the settings')
  const { 'instance-id': _, instance_id: __, ...rest } = metaData
  const ours = parseYamlMap(textOf(draft, 'meta-data'), 'meta-data')
  draft.files.set('meta-data', bytesOf(formatYaml(mergeTrees(rest, ours))))
}

function textOf(draft: BootDraft, path: string): string {
  const bytes = draft.files.get(path)
  if (bytes !== undefined) return new TextDecoder().decode(bytes)
  throw new UsageError(`${path} is for cloud-init, and this image does not run it`, {
    hint: 'Raspberry Pi OS Trixie and HypriotOS do; on others, say it with overlays.',
  })
}

/** @throws {FormatError} not text */
export function decodeText(bytes: Uint8Array, name: string): GivenText {
  try {
    return { name, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch (cause) {
    throw new FormatError(`${name} is no UTF-8 text`, { hint: 'Save it as UTF-8.', cause })
  }
}
